"""The main experiment as PyTorch users train it: one run per process, in two loops written for this comparison.

* `loader`: a `DataLoader` with one PIL image, `ToTensor` and `Normalize` per example, the loss read back at each
  step, and at log points the training set (twice: fit, collapse) and all 10,000 test images through loaders. The
  loop of the public code of arXiv 2509.20829, as its description has it.
* `tensors`: images on the device, `randperm`, fused AdamW, nothing read back, evaluation in one batch.
* `compiled`: `tensors` with forward and backward through `torch.compile`, where a C++ compiler is at hand.

Run as a worker it trains or logs as told on stdin; `python -m benchmarks.opponents` measures all of them.
"""

import argparse
import functools
import itertools
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from benchmarks.pytorch_images import MEAN, STD, Compose, Images, Normalize, load, to_tensor
from benchmarks.workers import serve

SIZES = (784, 200, 200, 200, 10)
BATCH, CLASSES, INIT_SCALE, LEARNING_RATE, WEIGHT_DECAY = 100, 10, 8.0, 1e-3, 0.01


class MLP(nn.Module):
    """The network, with every initial parameter times `INIT_SCALE`; gives logits and features."""

    def __init__(self) -> None:
        super().__init__()
        layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(SIZES[:-1])]
        self.body = nn.Sequential(nn.Flatten(), *itertools.chain.from_iterable(layers))
        self.head = nn.Linear(SIZES[-2], SIZES[-1])
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(INIT_SCALE)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map images to logits and features."""
        features = self.body(inputs)
        return self.head(features), features


def objective(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Squared error summed over batch and classes."""
    return squared_error(model(inputs)[0], labels)


def squared_error(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same of given logits."""
    return nn.functional.mse_loss(logits, nn.functional.one_hot(labels, CLASSES).float(), reduction="sum")


def collapse_of(features: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Within- and between-class variance, RNC1 and NC2 of a whole set of features."""
    one_hot = nn.functional.one_hot(labels, CLASSES).float()
    means = one_hot.T @ features / one_hot.sum(0)[:, None]
    within = (features - means[labels]).square().sum(1).mean()
    between = (one_hot.mean(0) * (means - features.mean(0)).square().sum(1)).sum()
    values = torch.linalg.svdvals(means)
    rnc1 = within / features.norm(dim=1).mean() ** 2
    return {"nc1": (within / between).item(), "rnc1": rnc1.item(), "nc2": (values[0] / values[-1]).item()}


class LoaderLoop:
    """The loader-bound loop."""

    def __init__(self) -> None:
        transform = Compose([to_tensor, Normalize((MEAN,), (STD,))])
        sets = [Images(images, labels, transform) for images, labels in load().values()]
        sets[0] = Subset(sets[0], range(len(sets[0])))
        self.train_loader, self.test_loader = (DataLoader(s, batch_size=BATCH, shuffle=True) for s in sets)
        self.model = MLP()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.batches = self._batches()

    def _batches(self) -> Iterator[list[torch.Tensor]]:
        while True:
            yield from self.train_loader

    def train(self, steps: int) -> None:
        """Take optimizer steps."""
        for inputs, labels in itertools.islice(self.batches, steps):
            self.optimizer.zero_grad()
            loss = objective(self.model, inputs, labels)
            loss.backward()
            self.optimizer.step()
            self.last_loss = loss.item()

    @torch.no_grad()
    def log(self) -> dict[str, float]:
        """Fit on both sets and collapse on the training set, batch by batch."""
        values = {}
        for name, loader in (("train", self.train_loader), ("test", self.test_loader)):
            right = loss = 0.0
            for inputs, labels in loader:
                logits, _ = self.model(inputs)
                right += (logits.argmax(1) == labels).sum().item()
                loss += squared_error(logits, labels).item()
            size = len(loader.dataset)
            values |= {f"{name}_accuracy": right / size, f"{name}_loss": loss / size}
        parts = [(self.model(inputs)[1], labels) for inputs, labels in self.train_loader]
        return values | collapse_of(*(torch.cat(column) for column in zip(*parts, strict=True)))


class TensorLoop:
    """The optimised loop; `compiled` sends forward and backward through `torch.compile`."""

    def __init__(self, compiled: bool = False) -> None:
        sets = load()
        self.labels = {name: labels for name, (_, labels) in sets.items()}
        self.inputs = {name: (images.flatten(1) / 255 - MEAN) / STD for name, (images, _) in sets.items()}
        self.model = MLP()
        self.objective = torch.compile(objective) if compiled else objective
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.batches = self._batches()

    def _batches(self) -> Iterator[torch.Tensor]:
        while True:
            yield from torch.randperm(len(self.labels["train"])).split(BATCH)

    def train(self, steps: int) -> None:
        """Take optimizer steps."""
        for chosen in itertools.islice(self.batches, steps):
            self.optimizer.zero_grad(set_to_none=True)
            self.objective(self.model, self.inputs["train"][chosen], self.labels["train"][chosen]).backward()
            self.optimizer.step()

    @torch.no_grad()
    def log(self) -> dict[str, float]:
        """Fit on both sets and collapse on the training set, each set in one batch."""
        values = {}
        for name, labels in self.labels.items():
            logits, features = self.model(self.inputs[name])
            values[f"{name}_accuracy"] = (logits.argmax(1) == labels).float().mean().item()
            values[f"{name}_loss"] = squared_error(logits, labels).item() / len(labels)
            if name == "train":
                values |= collapse_of(features, labels)
        return values


LOOPS = {"loader": LoaderLoop, "tensors": TensorLoop, "compiled": lambda: TensorLoop(compiled=True)}


def told(loop: LoaderLoop | TensorLoop, order: str, count: str) -> dict[str, float]:
    """Do what "train <steps>" or "log <times>" says; return the last values."""
    if order == "train":
        loop.train(int(count))
        return {}
    return [loop.log() for _ in range(int(count))][-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)
    serve(functools.partial(told, LOOPS[arguments.loop]()))


if __name__ == "__main__":
    main()
