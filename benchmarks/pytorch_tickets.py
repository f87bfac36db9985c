"""Iterative magnitude pruning as PyTorch users do it, one run per process: two loops written for the comparison.

* `loader`: every weight is multiplied by its mask before each forward pass, as pruned models commonly are, batches
  come from a `DataLoader` over tensors, the loss is read back at each step.
* `tensors`: images and masks on the device, `randperm`, SGD over all tensors at once, nothing read back; masks are
  applied after the step.

Run as a worker it trains as told on stdin; `python -m benchmarks.tickets` measures both.
"""

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.pytorch_images import MEAN, STD, load
from benchmarks.workers import serve

SIZES, BATCH, RATE, MOMENTUM, DECAY, PRUNED = (784, 300, 100, 10), 128, 0.01, 0.9, 1e-4, 0.2


class Tickets:
    """A network with masks; `tensors` chooses the loop."""

    def __init__(self, tensors: bool) -> None:
        images, labels = load()["train"]
        self.inputs, self.labels = (images.flatten(1) / 255 - MEAN) / STD, labels
        layers = [layer for a, b in itertools.pairwise(SIZES) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.model = nn.Sequential(*layers[:-1])
        self.weights = [p for p in self.model.parameters() if p.ndim > 1]
        self.masks = [torch.ones_like(w) for w in self.weights]
        self.initial = [p.detach().clone() for p in self.model.parameters()]
        self.tensors = tensors
        self._begin()

    def _begin(self) -> None:
        options = {"lr": RATE, "momentum": MOMENTUM, "weight_decay": DECAY}
        self.optimizer = torch.optim.SGD(self.model.parameters(), **options, foreach=self.tensors)
        loader = DataLoader(TensorDataset(self.inputs, self.labels), batch_size=BATCH, shuffle=True)
        self.batches = self._drawn() if self.tensors else itertools.chain.from_iterable(itertools.repeat(loader))

    def _drawn(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            for chosen in torch.randperm(len(self.labels)).split(BATCH):
                yield self.inputs[chosen], self.labels[chosen]

    @torch.no_grad()
    def _mask(self) -> None:
        if self.tensors:
            torch._foreach_mul_(self.weights, self.masks)
        else:
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.data = weight.data * mask

    def train(self, steps: int) -> None:
        """Take optimizer steps."""
        for inputs, labels in itertools.islice(self.batches, steps):
            if not self.tensors:
                self._mask()
            self.optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(self.model(inputs), labels)
            loss.backward()
            self.optimizer.step()
            if self.tensors:
                self._mask()
            else:
                loss.item()

    @torch.no_grad()
    def prune(self) -> None:
        """Begin the next level."""
        sizes = torch.cat([w[m > 0].abs() for w, m in zip(self.weights, self.masks, strict=True)])
        least = sizes.kthvalue(round(PRUNED * len(sizes))).values
        self.masks = [m * (w.abs() > least) for w, m in zip(self.weights, self.masks, strict=True)]
        for parameter, initial in zip(self.model.parameters(), self.initial, strict=True):
            parameter.copy_(initial)
        self._mask()
        self._begin()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loop", choices=("loader", "tensors"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    tickets = Tickets(arguments.loop == "tensors")

    def train(levels: str, steps: str) -> None:
        for _ in range(int(levels)):
            tickets.prune()
            tickets.train(int(steps))

    serve(train)


if __name__ == "__main__":
    main()
