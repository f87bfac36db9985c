"""Levels of train, prune and rewind: the engine against PyTorch loops, one run per process, in every arrangement.

Command: python -m benchmarks.tickets               (a few minutes on 2 quiet cores; needs PyTorch)
         python -m benchmarks.tickets --device=gpu  (a minute on a GPU with 8 cores beside it)
         python -m benchmarks.tickets --tiny        (seconds)

The network of configs/lottery_mlp.py. On CPU a call is several short levels, so that pruning and rewinding are in
it more often than in an experiment (600 steps a level); ways are called in turn, seconds are per run-step. On a GPU
the engine trains the whole of it, 20 runs x 15 levels x 600 steps, in one program; the PyTorch loops take a few
levels in 1, 4 and 8 processes at once, of which the whole is projected.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
from typing import Any

from benchmarks import machine
from benchmarks.interleave import interleave, layout
from benchmarks.opponents import running
from benchmarks.workers import Workers

LEVELS = 3
RATES, SEEDS, WHOLE_LEVELS, WHOLE_STEPS = (0.003, 0.01, 0.03, 0.1, 0.2), (0, 1, 2, 3), 15, 600
PROCESSES = (1, 4, 8)
OURS, MODULE = "collapse_jax", "benchmarks.pytorch_tickets"
# Steps of a level in a call on a GPU, so that each takes about a second.
GPU_STEPS = {"loader": 200, "graphed": 2000}


def main() -> None:
    """Time, print, and write benchmarks/results/tickets.json, or tickets_gpu.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="few steps")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of a level, on CPU")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    arguments = parser.parse_args()
    from collapse_jax.system import runtime

    runtime.start(training=True)
    if arguments.device == "gpu":
        few = arguments.tiny
        found = on_gpu(10 if few else WHOLE_STEPS, 1 if few else arguments.repeats, PROCESSES[: 1 if few else None])
    else:
        found = on_cpu(10 if arguments.tiny else arguments.steps, 1 if arguments.tiny else arguments.repeats)
    if not arguments.tiny:
        print(machine.write("tickets", found, "tickets_gpu" if arguments.device == "gpu" else ""))


def engine_of(rates: tuple[float, ...], seeds: tuple[int, ...], level_steps: int, steps: int) -> Any:
    """Compile levels of `level_steps` steps for a grid; `steps` in all."""
    from benchmarks.engine import Engine, named_experiment, training_only
    from collapse_jax.experiment.training import Levels

    base = training_only(named_experiment("lottery_mlp"))
    grid = dataclasses.replace(base.grid, learning_rate=rates, seed=seeds)
    training = dataclasses.replace(base.training, levels=Levels(level_steps), rate=type(base.training.rate)())
    return Engine(dataclasses.replace(base, grid=grid, training=training, steps=steps))


def on_cpu(steps: int, repeats: int) -> dict[str, Any]:
    """Call all ways in turn; a run for each core."""
    import jax

    seeds = tuple(range(jax.local_device_count()))
    engine = engine_of((0.01,), seeds, steps, (repeats + 1) * LEVELS * steps + 1)
    ways, work = {OURS: lambda: engine.train(LEVELS * steps)}, {OURS: LEVELS * steps * len(seeds)}
    with running(("loader", "tensors"), MODULE) as opponents:
        for way in opponents:
            name = f"PyTorch {way.name}"
            ways[name] = lambda way=way: way.workers.ask(f"{LEVELS} {steps}")[0]
            work[name] = LEVELS * steps * way.runs
        compared = interleave(ways, repeats, work=work)
    print(compared.table("run-step of levels"))
    return {"steps": steps, "levels": LEVELS, **compared.record()}


def on_gpu(steps: int, repeats: int, arrangements: tuple[int, ...]) -> dict[str, Any]:
    """Train the whole here, then a few levels of each PyTorch loop in so many processes; seconds of the whole."""
    import jax

    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    loops = GPU_STEPS if device == "cuda" else {"loader": 100}
    runs, whole = len(RATES) * len(SEEDS), WHOLE_LEVELS * steps
    with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
        starting = {  # while our program compiles
            loop: pool.submit(
                Workers, "benchmarks.pytorch_tickets", [loop, f"--device={device}"], max(arrangements)
            )
            for loop in loops
        }
        engine = engine_of(RATES, SEEDS, steps, whole)
        opponents = {loop: stack.enter_context(workers.result()) for loop, workers in starting.items()}

        def train() -> None:
            engine.restart()
            engine.train(whole)

        ours = interleave({OURS: train}, repeats)[OURS]
        seconds, last = {OURS: ours.median}, {}
        print(f"{OURS}: {ours.median:.2f} s", flush=True)
        for loop, workers in opponents.items():
            count = min(loops[loop], 2 * steps)
            workers.ask(f"1 {count}")
            for processes in arrangements:
                taken = [workers.ask(f"1 {count}", processes) for _ in range(repeats)]
                best = min(taken, key=lambda answer: answer[0])[0] / (count * processes)
                name = f"PyTorch {loop}, {processes} process(es)"
                seconds[name] = best * runs * whole
                print(f"{name}: {seconds[name]:.2f} s, projected", flush=True)
            last[loop] = taken[-1][1][0]
    ratios = {name: value / seconds[OURS] for name, value in seconds.items()}
    rows = [(name, f"{value:.2f}", f"{ratios[name]:.1f}") for name, value in seconds.items()]
    print(layout((f"{runs} runs x {WHOLE_LEVELS} levels x {steps} steps", "s", "ratio"), rows))
    return {
        "device": jax.devices()[0].device_kind,
        "runs": runs,
        "levels": WHOLE_LEVELS,
        "steps": steps,
        "seconds": seconds,
        "ratios": ratios,
        "ours": ours.record(),
        "last": last,
    }


if __name__ == "__main__":
    main()
