"""Label noise in the main experiment: a share of the training labels is replaced by another class.

    python -m collapse_jax train --config=configs/label_noise_mlp.py:cpu --workdir=runs/label_noise_mlp
    python -m collapse_jax train --config=configs/label_noise_mlp.py --workdir=runs/label_noise_mlp_full

MLP 784-200-200-200-10 on the first 1000 MNIST images as in configs/mnist_mlp.py, of whose labels 0, 10, 20 or 40 %
are wrong; the test labels are right. Every run sees the same wrong labels (`task.label_seed`), and those of a
smaller share are wrong in a larger one, too. The shares are chosen here. Where the network fits wrong labels, the
classes that collapse are not the true ones: RNC1 of the training set may fall while the test accuracy does not.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (weight decay 0.1, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Label noise",
        grid=Grid(label_noise=(0.0, 0.1, 0.2, 0.4), weight_decay=(0.1, 0.01), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(0.1,), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
