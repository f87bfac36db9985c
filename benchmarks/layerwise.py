"""A training step layer by layer against one end to end, ours and in PyTorch with `detach`, in one series.

Command: python -m benchmarks.layerwise             (minutes on 2 cores)
         python -m benchmarks.layerwise --tiny      (seconds)

The MLP of configs/layerwise_mlp.py on the embedded images: 6 layers of 128, BatchNorm, Adam, batch 128. Ours are
both schemes with one run per core; PyTorch's in every arrangement of `opponents`.
"""

import argparse
import dataclasses

from benchmarks import machine
from benchmarks.interleave import interleave
from benchmarks.opponents import running

SCHEMES = ("end_to_end", "layerwise")


def main() -> None:
    """Time, print, and write benchmarks/results/layerwise.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few steps")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of a timed call")
    arguments = parser.parse_args()
    from collapse_jax.system import runtime

    runtime.start(training=True)
    import jax

    from benchmarks.engine import Engine, named_experiment, training_only

    steps = 2 if arguments.tiny else arguments.steps
    seeds = tuple(range(jax.local_device_count()))
    base = training_only(named_experiment("layerwise_mlp", "cpu"))
    grid = dataclasses.replace(base.grid, scheme=(), seed=seeds)
    ways, work = {}, {}
    for scheme in SCHEMES:
        training = dataclasses.replace(base.training, scheme=scheme)
        engine = Engine(dataclasses.replace(base, grid=grid, training=training))
        name = f"collapse_jax, {scheme}"
        ways[name], work[name] = (lambda engine=engine: engine.train(steps)), steps * len(seeds)
    with running(SCHEMES, "benchmarks.pytorch_layerwise") as opponents:
        for way in opponents:
            name = f"PyTorch, {way.name}"
            ways[name] = lambda way=way: way.workers.ask(f"train {steps}")[0]
            work[name] = steps * way.runs
        compared = interleave(ways, arguments.repeats, work)
    print(compared.table("run-step of the MLP"))
    if not arguments.tiny:
        print(machine.write("layerwise", {"steps": steps, "runs": len(seeds), **compared.record()}))


if __name__ == "__main__":
    main()
