"""Token selection on a heatmap of dimensions and signals: the engine against a PyTorch loop with d x d gradients.

Command: python -m benchmarks.token_selection            (minutes on one core)
         python -m benchmarks.token_selection --tiny     (seconds: d = 32)

Both train one run for 1000 steps and evaluate it once on 1000 test examples, as many as the paper's code has, in
turn for each dimension, on one thread, in CPU seconds: other jobs slow both down, but are not counted. The loop is
`loss.backward()` and `torch.optim.SGD` on W and p with f = sum softmax(X (W p)) (X nu), the cheapest order of its
products; it trains `--steps` steps, and the time of 1000 is theirs in proportion. That it draws its data is not
counted. The paper's code evaluates every ten steps, which the last line allows for. The engine's time is that of
its programs, with all that each call draws and computes anew; compilation, once per dimension, is told apart. Needs
torch.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine

DIMENSIONS, STEPS, EXAMPLES, TOKENS, TEST = (250, 500, 1000, 2000, 3500, 5000), 1000, 20, 8, 1000
GRID, SIGNALS, SEEDS = tuple(range(250, 5001, 125)), 39, 2
EVALUATIONS = 100  # of a run in the paper's code


def main() -> None:
    """Time and write benchmarks/results/token_selection.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a dimension of 32")
    parser.add_argument("--steps", type=int, default=40, help="of the PyTorch loop")
    arguments = parser.parse_args()
    dimensions = (32,) if arguments.tiny else DIMENSIONS
    rows = [(d, *engine(d), *loop(d, arguments.steps)) for d in dimensions]
    lines = ["dimension  engine: compile  1000 steps  evaluation  loop: 1000 steps  evaluation  ratio"]
    for d, compiled, trained, measured, torch_trained, torch_measured in rows:
        ratio = (torch_trained + torch_measured) / (trained + measured)
        numbers = (
            f"{compiled:15.1f}  {trained:10.3f}  {measured:10.3f}  {torch_trained:16.2f}  {torch_measured:9.3f}"
        )
        lines.append(f"{d:9}  {numbers}  {ratio:5.0f}")
    compiled, trained, measured, torch_trained, torch_measured = (over_grid(rows, i) for i in range(1, 6))
    runs = SIGNALS * SEEDS
    ours = compiled + runs * (trained + measured)
    lines.append(
        f"39 x 39 x 2 runs, dimensions between by straight lines: engine {compiled:.0f} s of compilation, "
        f"{runs * trained:.0f} s of training and {runs * measured:.0f} s of evaluation"
    )
    for count, what in ((1, "evaluated once"), (EVALUATIONS, "evaluated every ten steps")):
        theirs = runs * (torch_trained + count * torch_measured)
        lines.append(f"loop, {what}: {theirs:.0f} s, {theirs / ours:.0f} x")
    text = "\n".join([f"CPU seconds per run, {machine.describe()['processor']}, one thread", *lines])
    print(text)
    if not arguments.tiny:
        (machine.RESULTS / "token_selection.txt").write_text(f"{__doc__}\n{text}\n")


def over_grid(rows: list[tuple], column: int) -> float:
    """Sum over the dimensions of the heatmap what straight lines between those measured give."""
    return float(np.interp(GRID, [row[0] for row in rows], [row[column] for row in rows]).sum())


def cpu(function: Callable[[], object]) -> float:
    """Return the CPU seconds of the second call."""
    function()
    began = time.process_time()
    function()
    return time.process_time() - began


def engine(d: int) -> tuple[float, float, float]:
    """Return compilation, training and evaluation of one run."""
    from collapse_jax.system import runtime

    runtime.start(1, training=True)
    import dataclasses

    import jax

    from benchmarks.engine import named_experiment
    from collapse_jax.engine.compile import compile_programs
    from collapse_jax.engine.packing import Layout
    from collapse_jax.experiment.axes import placed

    e = placed(named_experiment("token_selection", "map"), "dimension", d)
    grid = dataclasses.replace(e.grid, dimension=(), signal_norm=(20.0,), seed=(0,))
    e = dataclasses.replace(e, grid=grid)
    jax.config.update("jax_enable_compilation_cache", False)
    began = time.process_time()
    with runtime.numbers(e):
        programs = compile_programs(e, Layout(1, 1, 1))
        jax.block_until_ready(programs.initial())
        compiled = time.process_time() - began
        trained = cpu(lambda: jax.block_until_ready(programs.advance(programs.initial(), 0, STEPS)))
        states = programs.initial()
        measured = cpu(lambda: jax.block_until_ready(programs.measure(states, STEPS)))
    return compiled, trained, measured


def loop(d: int, steps: int) -> tuple[float, float]:
    """Return training, of `STEPS` steps in proportion, and one evaluation of one run."""
    import torch

    torch.set_num_threads(1)
    step, evaluate = pytorch(d, "cpu")

    def train() -> None:
        for _ in range(steps):
            step()

    return cpu(train) * STEPS / steps, cpu(evaluate)


def pytorch(d: int, device: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a step and an evaluation of a run in PyTorch."""
    import torch

    generator = torch.Generator(device).manual_seed(0)
    x = torch.randn(EXAMPLES, TOKENS, d, generator=generator, device=device)
    test = torch.randn(TEST, TOKENS, d, generator=generator, device=device)
    nu = torch.zeros(d, device=device)
    nu[0], nu[1] = 0.035, -0.035
    y = torch.ones(EXAMPLES, device=device)
    weight = torch.nn.Parameter((2 * torch.rand(d, d, generator=generator, device=device) - 1) / d**0.5)
    query = torch.nn.Parameter(torch.zeros(d, device=device))
    optimizer = torch.optim.SGD([weight, query], lr=5e-3)

    def outputs(inputs: torch.Tensor) -> torch.Tensor:
        return torch.sum(torch.softmax(inputs @ (weight @ query), -1) * (inputs @ nu), -1)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.softplus(-y * outputs(x)).mean().backward()
        optimizer.step()

    def evaluate() -> torch.Tensor:
        with torch.no_grad():
            return torch.nn.functional.softplus(-outputs(test)).mean()

    return step, evaluate


if __name__ == "__main__":
    main()
