"""Grokking in two minutes: 3 weight decays x 2 seeds of the paper's MLP on the embedded MNIST subset.

python -m collapse_jax train --config=configs/quickstart.py --workdir=runs/quickstart
python -m collapse_jax train --config=configs/quickstart.py:cpu --workdir=runs/quickstart    # the same
"""

from collapse_jax.experiment.config import Experiment, Grid, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "" or "cpu" (it is of that size) or "smoke" (200 steps)."""
    require_argument(arg)
    smoke = arg == "smoke"
    return Experiment(
        name="Grokking in two minutes",
        grid=Grid(weight_decay=(0.1, 0.05, 0.025), learning_rate=(3e-3,), seed=(0, 1)),
        steps=200 if smoke else 24_000,
        task=Task(test_size=500 if smoke else 2000),
        log=Schedule(rule="geometric", points=20) if smoke else Schedule(points=80),
        snapshots=Snapshots(Schedule(rule="geometric", points=5 if smoke else 10), ("train", "test", "head"), 500),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.03),
    )
