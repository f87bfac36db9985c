"""The main experiment on Fashion-MNIST (Figure 6 of arXiv 2509.20829), with 1000 and with 3000 training images.

    python -m collapse_jax prepare --dataset=fashion_mnist
    python -m collapse_jax train --config=configs/fashion_mlp.py:cpu --workdir=runs/fashion_mlp
    python -m collapse_jax train --config=configs/fashion_mlp.py --workdir=runs/fashion_mlp_full
    python -m collapse_jax measure --workdir=runs/fashion_mlp_full --measures=nhsic,mutual_information

MLP 784-200-200-200-10, PyTorch's initialisation times 8, squared error summed over batch and classes, AdamW at
1e-3, batch 100, the first 1000 or 3000 images in the official order; 6 weight decays x 5 seeds. Instead of
`prepare` the four official files in a folder `fashion_mnist` do: --config.task.data_dir=PARENT

The paper says of its Figure 6: grokking occurs, RNC1 falls when the test accuracy rises, and the test accuracy
rises slightly earlier with 3000 images. It names network and training of the MNIST figures; steps and weight decays
are taken from there.

What Figure 13 shows (Section D.2, information bottleneck for another network or data set) is not known here. The
last command draws such a figure for this sweep; with configs/cnn_mnist.py it does for a CNN.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (2 weight decays, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Grokking of an MLP on Fashion-MNIST",
        grid=Grid(
            train_size=(1000, 3000),
            weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
            seed=(42, 43, 44, 45, 46),
        ),
        steps=100_000,
        task=Task("fashion_mnist"),
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.7, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(0.3, 0.1), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
