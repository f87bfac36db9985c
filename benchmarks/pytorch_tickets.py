"""Iterative magnitude pruning as PyTorch users do it, one run per process: loops written for the comparison.

* `loader`: every weight is multiplied by its mask before each forward pass, as pruned models commonly are, batches
  come from a `DataLoader` over tensors, the loss is read back at each step.
* `tensors`: images and masks on the device, `randperm`, SGD over all tensors at once, nothing read back; masks are
  applied after the step.
* `graphed`: the whole step of `tensors` captured once as a CUDA graph and replayed, batches that are whole alone.

Run as a worker it trains as told on stdin; `python -m benchmarks.tickets` measures them.
"""

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.pytorch_images import MEAN, STD, load
from benchmarks.workers import serve

LOOPS = LOADER, TENSORS, GRAPHED = "loader", "tensors", "graphed"
WARM_UP = 5  # steps before the capture, which must not meet anything for the first time
SIZES, BATCH, RATE, MOMENTUM, DECAY, PRUNED = (784, 300, 100, 10), 128, 0.01, 0.9, 1e-4, 0.2


class Tickets:
    """A network with masks on a device, trained by one of the loops."""

    def __init__(self, loop: str, device: str) -> None:
        images, labels = load()["train"]
        inputs = (images.flatten(1) / 255 - MEAN) / STD
        on = "cpu" if loop == LOADER else device  # the loader copies batch by batch
        self.loop, self.device, self.inputs, self.labels = loop, device, inputs.to(on), labels.to(on)
        layers = [layer for a, b in itertools.pairwise(SIZES) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.model = nn.Sequential(*layers[:-1]).to(device)
        self.weights = [p for p in self.model.parameters() if p.ndim > 1]
        self.masks = [torch.ones_like(w) for w in self.weights]
        self.initial = [p.detach().clone() for p in self.model.parameters()]
        options = {"lr": RATE, "momentum": MOMENTUM, "weight_decay": DECAY}
        self.optimizer = torch.optim.SGD(self.model.parameters(), **options, foreach=loop != LOADER)
        self.chosen = torch.zeros(BATCH, dtype=torch.long, device=device)
        self.batches = self._loaded() if loop == LOADER else self._drawn()
        self.step = {LOADER: self._loader_step, TENSORS: self._step, GRAPHED: self._captured}[loop]
        if loop == GRAPHED:
            self.graph = self._capture()
            self._rewind()

    def _loaded(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        loader = DataLoader(TensorDataset(self.inputs, self.labels), batch_size=BATCH, shuffle=True)
        while True:
            yield from loader

    def _drawn(self) -> Iterator[torch.Tensor]:
        while True:
            order = torch.randperm(len(self.labels), device=self.device).split(BATCH)
            yield from order[:-1] if self.loop == GRAPHED and len(self.labels) % BATCH else order

    @torch.no_grad()
    def _mask(self) -> None:
        if self.loop == LOADER:
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.data = weight.data * mask
        else:
            torch._foreach_mul_(self.weights, self.masks)

    def _loader_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        self._mask()
        self._descend(*(part.to(self.device) for part in batch)).item()

    def _step(self, chosen: torch.Tensor) -> None:
        self._descend(self.inputs[chosen], self.labels[chosen])
        self._mask()

    def _descend(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.model(inputs), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def _captured(self, chosen: torch.Tensor) -> None:
        self.chosen.copy_(chosen)
        self.graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step(self.chosen)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(self.chosen)
        return graph

    def train(self, steps: int) -> float:
        """Take optimizer steps and wait for them; returns the loss of the train set."""
        for batch in itertools.islice(self.batches, steps):
            self.step(batch)
        with torch.no_grad():
            outputs = self.model(self.inputs.to(self.device))
            return nn.functional.cross_entropy(outputs, self.labels.to(self.device)).item()

    @torch.no_grad()
    def _rewind(self) -> None:
        for parameter, initial in zip(self.model.parameters(), self.initial, strict=True):
            parameter.copy_(initial)
        self._mask()
        for state in self.optimizer.state.values():
            state["momentum_buffer"].zero_()

    @torch.no_grad()
    def prune(self) -> float:
        """Begin the next level, in place, as a captured graph needs it; returns the density."""
        sizes = torch.cat([w[m > 0].abs() for w, m in zip(self.weights, self.masks, strict=True)])
        least = sizes.kthvalue(round(PRUNED * len(sizes))).values
        for weight, mask in zip(self.weights, self.masks, strict=True):
            mask.mul_(weight.abs() > least)
        self._rewind()
        return (sum(m.sum() for m in self.masks) / sum(m.numel() for m in self.masks)).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")
    torch.manual_seed(0)
    tickets = Tickets(arguments.loop, arguments.device)

    def train(levels: str, steps: str) -> dict[str, float]:
        density = loss = 1.0
        for _ in range(int(levels)):
            loss = tickets.train(int(steps))
            density = tickets.prune()
        return {"loss": loss, "density": density}

    serve(train)


if __name__ == "__main__":
    main()
