"""The main network in PyTorch on a GPU, in every arrangement that keeps the device busy; one way per process.

* `eager`: tensors on the device, `randperm`, fused AdamW, nothing read back; one run.
* `compiled`: the same with forward and backward through `torch.compile`.
* `graphed`: the whole step of `eager` captured once as a CUDA graph and replayed.
* `ensemble`: all runs at once, `torch.func.vmap` of the gradient over stacked parameters, one fused AdamW.
* `ensemble_graphed`, `ensemble_compiled`: the same as one CUDA graph, and as a graph of compiled code.

A worker of `python -m benchmarks.accelerator`: trains as told on stdin and answers with its seconds.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.pytorch_images import MEAN, STD, load
from benchmarks.pytorch_loops import BATCH, CLASSES, LEARNING_RATE, MLP, WEIGHT_DECAY
from benchmarks.workers import serve

SINGLE = ("eager", "compiled", "graphed")
ENSEMBLE = ("ensemble", "ensemble_graphed", "ensemble_compiled")
GPU_ONLY = ("graphed", "ensemble_graphed", "ensemble_compiled")
WARM_UP = 5  # steps before a capture, which must not meet anything for the first time


def objective(network: Callable[[torch.Tensor], Any], inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared error summed over batch and classes, of one-hot targets, which `vmap` and graphs need beforehand."""
    return torch.nn.functional.mse_loss(network(inputs)[0], targets, reduction="sum")


class Loop:
    """Steps of one run, or of `runs` stacked ones, on `device`."""

    def __init__(self, way: str, runs: int, device: str):
        self.device = torch.device(device)
        images, labels = load()["train"]
        self.inputs = ((images.flatten(1) / 255 - MEAN) / STD).to(self.device)
        self.targets = torch.nn.functional.one_hot(labels, CLASSES).float().to(self.device)
        self.runs = runs if way in ENSEMBLE else 1
        self.chosen = torch.zeros(self.runs, BATCH, dtype=torch.long, device=self.device)
        gradients = self._ensemble() if way in ENSEMBLE else self._single()
        compiled = way in ("compiled", "ensemble_compiled")
        self.gradients = torch.compile(gradients) if compiled else gradients
        graphed = way in GPU_ONLY
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True, capturable=graphed
        )
        self.batches = self._batches()
        self.step: Callable[[], None] = self._captured() if graphed else self._step

    def _single(self) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]:
        model = MLP().to(self.device)
        self.parameters = list(model.parameters())

        def gradients(inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(objective(model, inputs[0], targets[0]), self.parameters)

        return gradients

    def _ensemble(self) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]:
        models = [MLP().to(self.device) for _ in range(self.runs)]
        stacked, _ = torch.func.stack_module_state(models)
        skeleton, names = models[0], list(stacked)
        self.parameters = [stacked[name].detach().requires_grad_() for name in names]

        def loss(values: tuple[torch.Tensor, ...], inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            named = dict(zip(names, values, strict=True))
            return objective(lambda x: torch.func.functional_call(skeleton, named, (x,)), inputs, targets)

        lifted = torch.func.vmap(torch.func.grad(loss))
        return lambda inputs, targets: lifted(tuple(self.parameters), inputs, targets)

    def _batches(self) -> Iterator[torch.Tensor]:
        size = len(self.targets)
        while True:
            orders = torch.rand(self.runs, size, device=self.device).argsort(1)
            yield from orders.split(BATCH, 1)

    def _step(self) -> None:
        gradients = self.gradients(self.inputs[self.chosen], self.targets[self.chosen])
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def _captured(self) -> Callable[[], None]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay

    def train(self, steps: int) -> float:
        """Take steps and wait for them; returns the training loss per example of the first run."""
        for chosen in (next(self.batches) for _ in range(steps)):
            self.chosen.copy_(chosen)
            self.step()
        return self._loss()

    @torch.no_grad()
    def _loss(self) -> float:
        first = [p[0] for p in self.parameters] if self.runs > 1 else self.parameters
        model = MLP().to(self.device)
        for own, value in zip(model.parameters(), first, strict=True):
            own.copy_(value.reshape(own.shape))
        return objective(model, self.inputs, self.targets).item() / len(self.targets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=(*SINGLE, *ENSEMBLE))
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(42)
    torch.set_float32_matmul_precision("highest")
    loop = Loop(arguments.way, arguments.runs, "cuda" if torch.cuda.is_available() else "cpu")
    loop.train(WARM_UP)
    serve(lambda order, steps: {"loss": loop.train(int(steps))})


if __name__ == "__main__":
    main()
