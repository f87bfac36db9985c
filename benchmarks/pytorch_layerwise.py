"""The MLP of configs/layerwise_mlp.py in PyTorch, end to end or layer by layer with `detach`.

Images on the device, `randperm`, fused Adam, nothing read back. A worker of `python -m benchmarks.layerwise` and
`benchmarks.layerwise_accelerator`: answers "train <steps>" on stdin with its seconds.

* `eager`: one run.
* `ensemble`: all runs at once, `torch.func.vmap` of the gradient over stacked parameters; BatchNorm without running
  statistics, which `vmap` does not take.
* `graphed`: the step of `ensemble` captured once as a CUDA graph and replayed.
"""

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.pytorch_images import MEAN, STD, load
from benchmarks.workers import serve

WIDTHS = (784, *[128] * 6)
CLASSES, BATCH, LEARNING_RATE = 10, 128, 5e-4
WARM_UP = 5
EAGER, ENSEMBLE, GRAPHED = WAYS = ("eager", "ensemble", "graphed")


class Network(nn.Module):
    """Blocks with a head each, and the classifier; called with a batch it returns the loss of its scheme."""

    def __init__(self, scheme: str, running: bool = True) -> None:
        super().__init__()
        self.loss = SCHEMES[scheme]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b, track_running_stats=running), nn.ReLU())
            for a, b in itertools.pairwise(WIDTHS)
        )
        self.heads = nn.ModuleList(nn.Linear(width, CLASSES) for width in WIDTHS[1:])
        self.classifier = nn.Linear(WIDTHS[-1], CLASSES)

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss."""
        return self.loss(self, inputs, labels)


def end_to_end(network: Network, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Loss of the logits."""
    for block in network.blocks:
        inputs = block(inputs)
    return nn.functional.cross_entropy(network.classifier(inputs), labels)


def layerwise(network: Network, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Losses of all heads and of the classifier; no gradient crosses blocks."""
    losses = []
    for block, head in zip(network.blocks, network.heads, strict=True):
        inputs = block(inputs.detach())
        losses.append(nn.functional.cross_entropy(head(inputs), labels))
    return sum(losses) + nn.functional.cross_entropy(network.classifier(inputs.detach()), labels)


SCHEMES = {"end_to_end": end_to_end, "layerwise": layerwise}


class Loop:
    """Steps of one run, or of `runs` stacked ones, on `device`."""

    def __init__(self, scheme: str, way: str, runs: int, device: str) -> None:
        images, labels = load()["train"]
        self.inputs, self.labels = ((images.flatten(1) / 255 - MEAN) / STD).to(device), labels.to(device)
        networks = [Network(scheme, way == EAGER).to(device) for _ in range(runs)]
        self.network, self.runs = networks[0], runs
        self.alone = way == EAGER
        stacked = {} if self.alone else torch.func.stack_module_state(networks)[0]
        self.parameters = {name: value.detach().requires_grad_() for name, value in stacked.items()}
        if scheme == "end_to_end":  # whose heads have no gradient
            self.parameters = {name: value for name, value in self.parameters.items() if "heads" not in name}
        trained = list(self.network.parameters()) if self.alone else list(self.parameters.values())
        self.optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE, fused=True, capturable=way == GRAPHED)
        self.chosen = torch.zeros(runs, BATCH, dtype=torch.long, device=device)
        self.batches = self._batches()
        self.step = self._captured() if way == GRAPHED else self._alone if self.alone else self._together

    def _batches(self) -> Iterator[torch.Tensor]:
        whole = len(self.labels) // BATCH * BATCH if not self.alone else len(self.labels)
        while True:
            orders = torch.rand(self.runs, len(self.labels), device=self.inputs.device).argsort(1)
            yield from orders[:, :whole].split(BATCH, 1)

    def _alone(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.network(self.inputs[self.chosen[0]], self.labels[self.chosen[0]]).backward()
        self.optimizer.step()

    def _together(self) -> None:
        def loss(values: dict[str, torch.Tensor], inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(self.network, values, (inputs, labels))

        lifted = torch.func.vmap(torch.func.grad(loss))
        gradients = lifted(self.parameters, self.inputs[self.chosen], self.labels[self.chosen])
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name]
        self.optimizer.step()

    def _captured(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._together()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._together()
        return graph.replay

    def train(self, steps: int) -> None:
        """Take steps and wait for them."""
        for chosen in itertools.islice(self.batches, steps):
            if self.alone:
                self.chosen = chosen  # the last batch of an epoch is shorter
            else:
                self.chosen.copy_(chosen)
            self.step()
        if self.inputs.is_cuda:
            torch.cuda.synchronize()


def main() -> None:
    """Train as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scheme", choices=SCHEMES)
    parser.add_argument("--way", choices=WAYS, default=EAGER)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    loop = Loop(arguments.scheme, arguments.way, arguments.runs, arguments.device)
    serve(lambda _, steps: loop.train(int(steps)))


if __name__ == "__main__":
    main()
