"""Token selection on a heatmap of dimensions and signals, on a GPU: the engine against PyTorch, d x d gradients.

Command: python -m benchmarks.token_selection_accelerator            (needs a GPU)
         python -m benchmarks.token_selection_accelerator --tiny     (seconds: d = 32, also without a GPU)

Both train the runs of a dimension for 1000 steps in float32 and evaluate them once on 1000 test examples, in
seconds of wall time. PyTorch goes through the runs one by one, as the paper's code does, or as CUDA graphs of one
step, or takes a batch of runs at once (eager and as graphs), as many as fit 20 GB, at most the 78 of a dimension;
it trains 50 steps, and the time of 1000 is theirs in proportion. The engine takes tiles of 26 runs; its programs
draw all data anew, which is not counted for PyTorch; compilation, once per dimension, is told apart. Needs torch.
"""

import argparse
import concurrent.futures
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from benchmarks.token_selection import EXAMPLES, SEEDS, SIGNALS, STEPS, TEST, TOKENS, over_grid

DIMENSIONS, MEASURED_STEPS, TILE, MEMORY = (250, 1000, 2500, 5000), 50, 26, 20e9
RUNS = SIGNALS * SEEDS


def main() -> None:
    """Time and write benchmarks/results/token_selection_accelerator.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a dimension of 32")
    dimensions = (32,) if parser.parse_args().tiny else DIMENSIONS
    loops, (device, engines) = in_process(every_loop, dimensions), in_process(every_engine, dimensions)
    names = list(loops[0])
    lines = [f"dimension  engine: compile  1000 steps  evaluation  {'  '.join(names)}  ratio to the best"]
    rows = []
    for d, ours, theirs in zip(dimensions, engines, loops, strict=True):
        best = min(theirs.values())
        rows.append((d, *ours, *theirs.values(), best))
        numbers = "  ".join(f"{value:{len(name)}.2f}" for name, value in theirs.items())
        compiled, trained, measured = ours
        ratio = best / (trained + measured)
        lines.append(f"{d:9}  {compiled:15.1f}  {trained:10.2f}  {measured:10.2f}  {numbers}  {ratio:17.1f}")
    compiled, trained, measured, *theirs = (over_grid(rows, i) for i in range(1, len(rows[0])))
    lines.append(
        f"39 x 39 x 2 runs, dimensions between by straight lines: engine {compiled:.0f} s of compilation, "
        f"{trained + measured:.0f} s of running"
    )
    for name, seconds in zip([*names, "best of each dimension"], theirs, strict=True):
        without, whole = seconds / (trained + measured), seconds / (compiled + trained + measured)
        lines.append(f"PyTorch, {name}: {seconds:.0f} s, {whole:.1f} x, without compilation {without:.1f} x")
    text = "\n".join([f"seconds of the {RUNS} runs of a dimension, one {device}", *lines])
    print(text)
    if dimensions == DIMENSIONS:
        (machine.RESULTS / "token_selection_accelerator.txt").write_text(f"{__doc__}\n{text}\n")


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a process of its own, whose memory of the device is free when it ends."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments).result()


def wall(function: Callable[[], object]) -> float:
    """Return the seconds of the second call."""
    function()
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def every_engine(dimensions: tuple[int, ...]) -> tuple[str, list[tuple[float, float, float]]]:
    """Return the device and, of each dimension, compilation, training and evaluation of all runs."""
    import jax

    return jax.devices()[0].device_kind, [engine(d) for d in dimensions]


def engine(d: int) -> tuple[float, float, float]:
    """Return compilation, training and evaluation of all runs of a dimension."""
    import dataclasses

    import jax

    from benchmarks.engine import named_experiment
    from collapse_jax.engine.compile import compile_programs
    from collapse_jax.engine.packing import Layout
    from collapse_jax.experiment.axes import placed
    from collapse_jax.system import runtime

    e = placed(named_experiment("token_selection", "map"), "dimension", d)
    e = dataclasses.replace(e, grid=dataclasses.replace(e.grid, dimension=()))
    jax.config.update("jax_enable_compilation_cache", False)
    began = time.perf_counter()
    with runtime.numbers(e):
        programs = compile_programs(e, Layout(RUNS, 1, TILE))
        states = jax.block_until_ready(programs.initial())
        compiled = time.perf_counter() - began
        trained = wall(lambda: jax.block_until_ready(programs.advance(programs.initial(), 0, STEPS)))
        measured = wall(lambda: jax.block_until_ready(programs.measure(states, STEPS)))
    print(d, compiled, trained, measured, flush=True)
    return compiled, trained, measured


def every_loop(dimensions: tuple[int, ...]) -> list[dict[str, float]]:
    """Return the seconds of all runs of each dimension in each arrangement of PyTorch."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    cuda = torch.cuda.is_available()
    found = []
    for d in dimensions:
        fit = int(MEMORY // (4 * (2 * d * d + (EXAMPLES + TEST) * TOKENS * d)))
        seconds = {}
        for name, runs in (("one by one", 1), ("batches", max(1, min(RUNS, fit)))):
            step, evaluate = batch(runs, d, "cuda" if cuda else "cpu")
            measured = wall(synchronised(evaluate)) + wall(synchronised(evaluate))
            for kind, one in (("eager", step), *([("graphs", graph(step))] if cuda else [])):
                trained = wall(synchronised(lambda one=one: [one() for _ in range(MEASURED_STEPS)]))
                seconds[f"{name}, {kind}"] = RUNS / runs * (trained * STEPS / MEASURED_STEPS + measured / 2)
        print(d, seconds, flush=True)
        found.append(seconds)
    return found


def synchronised(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function, waiting for the device."""
    import torch

    def call() -> Any:
        value = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return value

    return call


def graph(step: Callable[[], None]) -> Callable[[], None]:
    """Return a step as a CUDA graph."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        step()
    return captured.replay


def batch(runs: int, d: int, device: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a step and an evaluation of some runs at once in PyTorch."""
    import torch

    x, test = (torch.randn(runs, n * TOKENS, d, device=device) for n in (EXAMPLES, TEST))
    nu = torch.zeros(d, device=device)
    nu[0], nu[1] = 0.035, -0.035
    weight = torch.nn.Parameter((2 * torch.rand(runs, d, d, device=device) - 1) / d**0.5)
    query = torch.nn.Parameter(torch.zeros(runs, d, 1, device=device))
    optimizer = torch.optim.SGD([weight, query], lr=5e-3)

    def loss(inputs: torch.Tensor) -> torch.Tensor:
        scores, values = torch.bmm(inputs, torch.bmm(weight, query)), inputs @ nu
        share = torch.softmax(scores.view(runs, -1, TOKENS), -1)
        f = torch.sum(share * values.view(runs, -1, TOKENS), -1)
        return torch.nn.functional.softplus(-f).mean(-1)

    def step() -> None:
        optimizer.zero_grad()
        loss(x).sum().backward()
        optimizer.step()

    def evaluate() -> torch.Tensor:
        with torch.no_grad():
            return loss(test)

    return step, evaluate


if __name__ == "__main__":
    main()
