"""Collapse without weight decay, an open question of arXiv 2509.20829: weight decay 0 beside 0.1 and 0.01.

    python -m collapse_jax train --config=configs/no_weight_decay_mlp.py:cpu --workdir=runs/no_weight_decay_mlp
    python -m collapse_jax train --config=configs/no_weight_decay_mlp.py --workdir=runs/no_weight_decay_mlp_full

The main experiment (configs/mnist_mlp.py) with its scale 8 and with PyTorch's own initialisation (scale 1). Its
theory ties the time of collapse to 1 / (eta lambda), which is infinite at 0; what then collapses is due to the
optimizer alone. Sizes, steps and the two other weight decays are taken from the main experiment.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (one seed, 20,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse without weight decay",
        grid=Grid(weight_decay=(0.1, 0.01, 0.0), init_scale=(1.0, 8.0), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=20_000, points=80, test_examples=2000, seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
