"""The MLP of configs/layerwise_mlp.py in PyTorch, end to end or layer by layer with `detach`; one run per process.

Images on the device, `randperm`, fused Adam, nothing read back. A worker of `python -m benchmarks.layerwise`:
answers "train <steps>" on stdin with its seconds.
"""

import argparse
import itertools

import torch
from torch import nn

from benchmarks.pytorch_images import MEAN, STD, load
from benchmarks.workers import serve

WIDTHS = (784, *[128] * 6)
CLASSES, BATCH, LEARNING_RATE = 10, 128, 5e-4


class Network(nn.Module):
    """Blocks with a head each, and the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()) for a, b in itertools.pairwise(WIDTHS)
        )
        self.heads = nn.ModuleList(nn.Linear(width, CLASSES) for width in WIDTHS[1:])
        self.classifier = nn.Linear(WIDTHS[-1], CLASSES)


def end_to_end(network: Network, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Loss of the logits."""
    for block in network.blocks:
        inputs = block(inputs)
    return nn.functional.cross_entropy(network.classifier(inputs), labels)


def layerwise(network: Network, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Losses of all heads and of the classifier; no gradient crosses blocks."""
    total = torch.zeros(())
    for block, head in zip(network.blocks, network.heads, strict=True):
        inputs = block(inputs.detach())
        total = total + nn.functional.cross_entropy(head(inputs), labels)
    return total + nn.functional.cross_entropy(network.classifier(inputs.detach()), labels)


SCHEMES = {"end_to_end": end_to_end, "layerwise": layerwise}


def main() -> None:
    """Train as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scheme", choices=SCHEMES)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images, labels = load()["train"]
    inputs, network = (images.flatten(1) / 255 - MEAN) / STD, Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    batches = itertools.chain.from_iterable(torch.randperm(len(labels)).split(BATCH) for _ in itertools.count())

    def train(_: str, count: str) -> None:
        for chosen in itertools.islice(batches, int(count)):
            optimizer.zero_grad(set_to_none=True)
            SCHEMES[arguments.scheme](network, inputs[chosen], labels[chosen]).backward()
            optimizer.step()

    serve(train)


if __name__ == "__main__":
    main()
