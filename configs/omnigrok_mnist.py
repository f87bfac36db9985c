"""Omnigrok's MNIST (Liu et al. 2023, arXiv 2210.01117): where the setting of the main experiment comes from.

    python -m collapse_jax train --config=configs/omnigrok_mnist.py:cpu --workdir=runs/omnigrok_mnist
    python -m collapse_jax train --config=configs/omnigrok_mnist.py --workdir=runs/omnigrok_mnist_full

MLP 784-200-200-10, PyTorch's initialisation times 8, squared error averaged over batch and classes, AdamW at 1e-3
with weight decay 0.01, batch 200, pixels in 0 ... 1, 100,000 steps, all in float64: the settings of its published
notebook. It trains one seed (0); five are taken here. Its 1000 training images are the first of the set here, and
AdamW's constants are PyTorch's, which are this package's defaults.

The main experiment differs: one layer more, the loss summed (which AdamW hardly sees), batch 100, pixels
standardised, float32.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (weight decay 0.1, two seeds, 20,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Grokking on MNIST as in Omnigrok",
        grid=Grid(weight_decay=(0.01,), init_scale=(8.0,), seed=(0, 1, 2, 3, 4)),
        steps=100_000,
        batch_size=200,
        loss="squared_error_mean",
        dtype="float64",
        task=Task(normalisation="unit"),
        model=Model(hidden=(200, 200)),
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=20_000, points=80, test_examples=2000, weight_decay=(0.1,), seed=(0, 1))
    return smoke(experiment) if arg == "smoke" else experiment
