"""A training step layer by layer against one end to end on a GPU, ours and in PyTorch with `detach`, in one series.

Command: python -m benchmarks.layerwise_accelerator                    (a minute on an H100)
         python -m benchmarks.layerwise_accelerator --tiny             (what a CPU can check of it)

The MLP of configs/layerwise_mlp.py on the embedded images, all runs in one tile; PyTorch's runs side by side in one
CUDA graph (`vmap`), and one run alone, eagerly.
"""

import argparse
import contextlib
import dataclasses
import os

from benchmarks import machine
from benchmarks.interleave import interleave
from benchmarks.layerwise import SCHEMES
from benchmarks.workers import Workers

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch has its turn on the same device


def main() -> None:
    """Time, print, and write layerwise_accelerator.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few steps, without CUDA graphs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="of a timed call")
    arguments = parser.parse_args()
    steps, device = (2, "cpu") if arguments.tiny else (arguments.steps, "cuda")
    way, runs = ("ensemble" if arguments.tiny else "graphed"), arguments.runs
    ways, work = {}, {}
    with contextlib.ExitStack() as stack:
        for scheme in SCHEMES:
            for kind, count, share in ((way, runs, 1), ("eager", 1, 5)):
                options = [scheme, f"--way={kind}", f"--runs={count}", f"--device={device}"]
                worker = stack.enter_context(Workers("benchmarks.pytorch_layerwise", options))
                taken, name = max(steps // share, 1), f"PyTorch, {scheme}, {kind}, {count} runs"
                ways[name] = lambda worker=worker, taken=taken: worker.ask(f"train {taken}")[1][0]["seconds"]
                work[name] = taken * count
        from collapse_jax.system import runtime

        runtime.start(devices=1, training=True)
        import jax

        from benchmarks.engine import Engine, named_experiment, training_only

        base = training_only(named_experiment("layerwise_mlp", "cpu"))
        grid = dataclasses.replace(base.grid, scheme=(), seed=tuple(range(runs)))
        ours = {}
        for scheme in SCHEMES:
            training = dataclasses.replace(base.training, scheme=scheme)
            engine = Engine(dataclasses.replace(base, grid=grid, training=training))
            name = f"collapse_jax, {scheme}, {runs} runs"
            ours[name], work[name] = (lambda engine=engine: engine.train(steps)), steps * runs
        compared = interleave(ours | ways, arguments.repeats, work)
    print(jax.devices()[0].device_kind)
    print(compared.table("run-step of the MLP", "us", 1e6))
    if not arguments.tiny:
        print(machine.write("layerwise_accelerator", {"steps": steps, "runs": runs, **compared.record()}))


if __name__ == "__main__":
    main()
