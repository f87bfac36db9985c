"""What the regularisers of the complexity experiment cost: a training step with each against a plain one.

Command: python -m benchmarks.regularisers            (minutes on 2 cores; one run per device)
         python -m benchmarks.regularisers --tiny     (seconds: a modulus of 7 and a narrow network)

The decoder of configs/modular_complexity.py on modular addition; ways are called in turn.
"""

import argparse
import dataclasses

from benchmarks import machine
from benchmarks.interleave import interleave

# Way -> axes beside those of a plain step.
WAYS: dict[str, dict[str, tuple[float, ...]]] = {
    "plain": {},
    "weight noise": {"weight_noise": (1e-2,)},
    "norm cutoff": {"norm_cutoff": (1e-3,)},
    "spectral entropy": {"spectral_entropy": (0.1,)},
    "noise and spectral entropy": {"weight_noise": (1e-2,), "spectral_entropy": (0.1,)},
}


def main() -> None:
    """Time, print, and write benchmarks/results/regularisers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a network that anything can train")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40, help="of a timed call")
    arguments = parser.parse_args()
    from collapse_jax.system import runtime

    runtime.start(training=True)
    import jax

    from benchmarks.engine import Engine, named_experiment, training_only

    seeds = tuple(range(jax.local_device_count()))
    base = training_only(named_experiment("modular_complexity", "addition-plain"))
    if arguments.tiny:
        task = dataclasses.replace(base.task, modulus=7, train_size=30)
        base = dataclasses.replace(
            base, task=task, batch_size=10, model=dataclasses.replace(base.model, width=8, heads=2)
        )
    steps = 2 if arguments.tiny else arguments.steps
    ways = {}
    for name, axes in WAYS.items():
        grid = dataclasses.replace(base.grid, weight_decay=(1.0,), seed=seeds, **axes)
        engine = Engine(dataclasses.replace(base, grid=grid))
        ways[name] = lambda engine=engine: engine.train(steps)
    compared = interleave(ways, arguments.repeats, work=dict.fromkeys(ways, steps * len(seeds)))
    print(compared.table("run-step of the decoder"))
    if not arguments.tiny:
        print(machine.write("regularisers", {"steps": steps, "runs": len(seeds), **compared.record()}))


if __name__ == "__main__":
    main()
