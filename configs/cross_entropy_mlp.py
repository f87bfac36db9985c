"""The loss of the main experiment: squared error beside cross-entropy.

    python -m collapse_jax train --config=configs/cross_entropy_mlp.py:cpu --workdir=runs/cross_entropy_mlp
    python -m collapse_jax train --config=configs/cross_entropy_mlp.py --workdir=runs/cross_entropy_mlp_full

MLP 784-200-200-200-10 on the first 1000 MNIST images as in configs/mnist_mlp.py. The theory of arXiv 2509.20829 is
about squared error, and its code has no other loss. Cross-entropy is averaged over the batch, squared error summed;
AdamW divides by the size of the gradient, so one learning rate serves both. Cross-entropy has no minimum at finite
weights without weight decay, so RNC1 and norms may part from what squared error shows.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (2 weight decays, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Squared error and cross-entropy",
        grid=Grid(
            loss=("squared_error_sum", "cross_entropy"),
            weight_decay=(0.3, 0.1, 0.03, 0.01),
            seed=(42, 43, 44, 45, 46),
        ),
        steps=100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(0.3, 0.1), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
