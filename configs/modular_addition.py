"""Modular addition with an MLP: grokking of the task on which it was found, through the measures of collapse.

python -m collapse_jax train --config=configs/modular_addition.py:cpu --workdir=runs/modular_addition
python -m collapse_jax train --config=configs/modular_addition.py --workdir=runs/modular_addition_full
"""

from collapse_jax.config import Experiment, Grid, Model, Snapshots, Task, Thresholds
from collapse_jax.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Modular addition",
        grid=Grid(
            weight_decay=(1.0, 0.3, 0.1, 0.03), learning_rate=(1e-3,), init_scale=(1.0,), seed=(0, 1, 2, 3, 4)
        ),
        steps=100_000,
        batch_size=500,
        loss="cross_entropy",
        task=Task("modular_addition", modulus=59, train_size=1740),
        model=Model(hidden=(128,)),
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.9, rnc1=0.03),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, weight_decay=(1.0, 0.3), seed=(0, 1))
    return smoke(experiment) if arg == "smoke" else experiment
