"""Normalisation layers in the main experiment: none, LayerNorm, BatchNorm.

    python -m collapse_jax train --config=configs/normalisation_mlp.py:cpu --workdir=runs/normalisation_mlp
    python -m collapse_jax train --config=configs/normalisation_mlp.py --workdir=runs/normalisation_mlp_full

MLP 784-200-200-200-10 on the first 1000 MNIST images as in configs/mnist_mlp.py, with a normalisation between each
hidden layer and its ReLU. The reviews of arXiv 2509.20829 asked for its effect, which stayed open. Chosen here: the
scale 8 multiplies the linear layers and not the gains of the normalisation ("linear"), which is the main
experiment's rule where there is none. Behind a normalisation the scale of a layer changes its effective learning
rate alone; that of the head changes the outputs.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (weight decay 0.1, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Normalisation layers",
        grid=Grid(norm=("none", "layer", "batch"), weight_decay=(0.1, 0.01), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        model=Model(init="linear"),
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(0.1,), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
