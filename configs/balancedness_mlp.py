"""Balancedness under SGD against theory, and bounds against truth, on MNIST.

python -m collapse_jax train --config=configs/balancedness_mlp.py --workdir=runs/balancedness_mlp
python -m collapse_jax plot --workdir=runs/balancedness_mlp
"""

from collapse_jax.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "" or "smoke" (100 steps)."""
    if arg not in ("", "smoke"):
        raise ValueError(f"argument {arg!r}: must be smoke or nothing")
    smoke = arg == "smoke"
    return Experiment(
        name="Balancedness of layers under SGD",
        grid=Grid(weight_decay=(0.3, 0.1, 0.03, 0.01), learning_rate=(5e-4,), init_scale=(1.0,), seed=(0, 1, 2)),
        steps=100 if smoke else 30_000,
        batch_size=50,
        task=Task(train_size=1000, test_size=500 if smoke else 2000),
        model=Model(hidden=(128, 64, 32), last_layer_act=False),
        optimizer=Optimizer("sgd"),
        measures=("fit", "norms", "collapse", "balancedness", "generalisation", "collapse_bounds"),
        log=Schedule(rule="geometric", points=20 if smoke else 80),
        snapshots=Snapshots(Schedule(rule="geometric", points=10), ("train", "test", "head", "parameters"), 500),
        thresholds=Thresholds(test_accuracy=0.85, rnc1=5e-3),
    )
