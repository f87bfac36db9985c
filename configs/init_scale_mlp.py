"""Scales of the initial weights, with everything else as in the main experiment: from no grokking to much.

    python -m collapse_jax train --config=configs/init_scale_mlp.py:cpu --workdir=runs/init_scale_mlp
    python -m collapse_jax train --config=configs/init_scale_mlp.py --workdir=runs/init_scale_mlp_full

MLP 784-200-200-200-10 on the first 1000 MNIST images; all initial weights and biases times 1, 2, 4, 8 or 16. Scale
8 is the main experiment (configs/mnist_mlp.py); the others are powers of two around it, chosen here. Omnigrok
(arXiv 2210.01117) says: the larger the initial weights, the longer generalisation lags behind the fit. Whether the
time of collapse moves with it is the question of this grid, which arXiv 2509.20829 leaves open.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (4 scales, weight decay 0.1, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Scales of the initial weights",
        grid=Grid(weight_decay=(0.1, 0.01), init_scale=(1.0, 2.0, 4.0, 8.0, 16.0), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        axes = {"weight_decay": (0.1,), "init_scale": (1.0, 2.0, 4.0, 8.0), "seed": (42,)}
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, **axes)
    return smoke(experiment) if arg == "smoke" else experiment
