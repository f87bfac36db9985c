"""Modular addition with an MLP: the task on which grokking was found, through the measures of collapse.

    python -m collapse_jax train --config=configs/modular_addition.py:cpu --workdir=runs/modular_addition
    python -m collapse_jax train --config=configs/modular_addition.py --workdir=runs/modular_addition_full

From a and b, two one-hot vectors side by side, predict (a + b) mod 59: MLP with one or two hidden layers of 128,
ReLU and PyTorch's own initialisation, AdamW at 1e-3, batch 500, half of the 3481 pairs in a fixed random order
(`tasks.modular`); squared error summed over the batch, and cross-entropy. There are more features (128) than
classes (59), so that classes can collapse to a simplex. All of this is chosen here, so that it groks within minutes
on two cores.

Found (one seed, docs/experiments.md): with one hidden layer and squared error it groks at 2000 to 3000 steps, and
RNC1 hardly falls, from 0.34 to 0.26 ... 0.34: late generalisation without collapse. Two hidden layers, or
cross-entropy, have not generalised by step 10,000.

The authors of arXiv 2509.20829 left modular addition out on purpose: its classes are ordered, and the task is
closer to a regression. Whether RNC1 falls with the rise of the test accuracy is the question of this grid.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (squared error, 4 runs of 10,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Modular addition",
        grid=Grid(
            depth=(1, 2),
            loss=("squared_error_sum", "cross_entropy"),
            weight_decay=(3.0, 1.0, 0.3, 0.1, 0.03),
            init_scale=(1.0,),
            seed=(0, 1, 2, 3, 4),
        ),
        steps=100_000,
        batch_size=500,
        task=Task("modular", modulus=59, train_size=1740),
        model=Model(hidden=(128,)),
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.9, rnc1=0.03),
    )
    if arg == "cpu":
        axes = {"loss": ("squared_error_sum",), "weight_decay": (1.0, 0.3), "seed": (0,)}
        return reduced(experiment, steps=10_000, points=80, **axes)
    return smoke(experiment) if arg == "smoke" else experiment
