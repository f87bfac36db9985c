"""The networks other than the MLP in PyTorch: tensors on the CPU, `randperm`, fused AdamW, nothing read back.

A worker of `python -m benchmarks.networks`: trains as told on stdin and answers with its seconds. Images are
random, of the shape that the network of that config has.
"""

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.pytorch_loops import BATCH, LEARNING_RATE, WEIGHT_DECAY, squared_error
from benchmarks.workers import serve

EXAMPLES, CLASSES = 1000, 10
MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


class CNN(nn.Sequential):
    """Two convolutions, max pooling, a dense layer, the head."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(32 * 14 * 14, 128), nn.ReLU(), nn.Linear(128, CLASSES)),
        )


class Block(nn.Module):
    """Two convolutions with BatchNorm beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations after the sum."""
        return nn.functional.relu(self.body(x) + self.shortcut(x))


class ResNet18(nn.Sequential):
    """The form for small images: a 3 x 3 stem without pooling."""

    def __init__(self, width: int) -> None:
        stem = (nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        widths = [width * 2**stage for stage in range(4)]
        blocks = []
        for before, after in itertools.pairwise([width, *widths]):
            blocks += [Block(before, after, 1 if after == width else 2), Block(after, after, 1)]
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(*stem, *blocks, *pool, nn.Linear(widths[-1], CLASSES))


class Transformer(nn.Module):
    """Patches of 4 x 4 pixels behind a CLS token, one encoder layer, the head on CLS.

    Attributes:
      cls_alone: whether the layer computes what the head reads and no more, as ours does.
    """

    def __init__(self, cls_alone: bool = False) -> None:
        super().__init__()
        self.cls_alone = cls_alone
        self.patches = nn.Conv2d(1, 128, 4, 4)
        self.cls, self.positions = nn.Parameter(torch.randn(1, 1, 128)), nn.Parameter(torch.zeros(1, 50, 128))
        self.layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1) + self.positions
        return self.head(self._of_cls(tokens) if self.cls_alone else self.layer(tokens)[:, 0])

    def _of_cls(self, x: torch.Tensor) -> torch.Tensor:
        layer, attention, einsum = self.layer, self.layer.self_attn, torch.einsum
        of_q, of_k, of_v = attention.in_proj_weight.view(3, 4, 32, 128)
        b_q, _, b_v = attention.in_proj_bias.view(3, 4, 32)  # the softmax forgets that of the keys
        q = (einsum("nc,hdc->nhd", x[:, 0], of_q) + b_q) * 32**-0.5
        scores = einsum("nkc,nhc->nhk", x, einsum("nhd,hdc->nhc", q, of_k))
        mixed = einsum("nhk,nkc->nhc", scores.softmax(-1), x)
        mixed = (einsum("nhc,hdc->nhd", mixed, of_v) + b_v).flatten(1)
        h = layer.norm1(x[:, 0] + attention.out_proj(mixed))
        return layer.norm2(h + layer.linear2(nn.functional.relu(layer.linear1(h))))


# Name -> (constructor, shape of an image).
NETWORKS = {
    "cnn": (CNN, MNIST),
    "resnet18_width_8": (lambda: ResNet18(8), CIFAR),
    "resnet18_width_16": (lambda: ResNet18(16), CIFAR),
    "transformer": (Transformer, MNIST),
    "transformer_cls_alone": (lambda: Transformer(cls_alone=True), MNIST),
}


class Loop:
    """Steps of one run."""

    def __init__(self, name: str, channels_last: bool) -> None:
        make, shape = NETWORKS[name]
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.inputs = torch.randn(EXAMPLES, *shape).to(memory_format=layout)
        self.labels = torch.randint(CLASSES, (EXAMPLES,))
        self.network = make().to(memory_format=layout)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.batches = self._batches()

    def _batches(self) -> Iterator[torch.Tensor]:
        while True:
            yield from torch.randperm(EXAMPLES).split(BATCH)

    def train(self, steps: int) -> None:
        """Take optimizer steps."""
        for chosen in itertools.islice(self.batches, steps):
            self.optimizer.zero_grad(set_to_none=True)
            squared_error(self.network(self.inputs[chosen]), self.labels[chosen]).backward()
            self.optimizer.step()


def main() -> None:
    """Train as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    loop = Loop(arguments.network, arguments.channels_last)
    serve(lambda _, steps: loop.train(int(steps)))


if __name__ == "__main__":
    main()
