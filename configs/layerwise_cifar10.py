r"""End-to-end against layer-wise training of VGG11 on CIFAR-10, with the settings of arXiv 2402.09050 and its code.

    python -m collapse_jax prepare --dataset=cifar10
    python -m collapse_jax train --config=configs/layerwise_cifar10.py:subset --workdir=runs/layerwise_cifar10
    python -m collapse_jax train --config=configs/layerwise_cifar10.py:layers --workdir=runs/cifar10_layers
    python -m collapse_jax train --config=configs/layerwise_cifar10.py:cpu --workdir=runs/layerwise_cifar10_cpu
    python -m collapse_jax train --config=configs/layerwise_cifar10.py --workdir=runs/layerwise_cifar10_full
    python -m collapse_jax measure --workdir=runs/layerwise_cifar10 --measures=layer_probe,layerwise \
        --options=mode=reference,batch_size=128

The code has, for the layer-wise scheme: eight convolutions and two dense layers, each with BatchNorm, ReLU and
dropout of 0.2, Adam at 5e-4 without weight decay, batch 128, 400 epochs, the rate times 0.2 at epochs 200, 300, 350
and 375, horizontal flips, cross-entropy of linear heads, one seed. Its ResNets: --config.model.name=resnet18, where
dropout follows the stem alone. Images of one's own instead of the prepared set: --config.task.dataset=FILE.npz

Without an argument all 50,000 images and 400 epochs, for an accelerator. "subset" takes the first 5000 images, a
network half as wide and 60 epochs, milestones to scale, 3 seeds (found: docs/papers/layerwise.md). "layers" is
what two cores train until it fits, and measure: 1000 images, an eighth of the width, 30 epochs at four times the
rate, no dropout, no flips, BatchNorm as in layerwise_mlp. "cpu" is "subset" in that width for 3 epochs, which shows
the beginning. One run at a time: convolutions of several runs with weights of their own are slow.
"""

from collapse_jax.experiment.config import (
    Experiment,
    Grid,
    Model,
    Optimizer,
    Packing,
    Schedule,
    Snapshots,
    Task,
    Thresholds,
)
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Rate, Training

BATCH = 128
# images, epochs, width of the first convolution, seeds
SIZES = {
    "": (50_000, 400, 64, (1, 2, 3, 4, 5)),
    "subset": (5000, 60, 32, (1, 2, 3)),
    "layers": (1000, 30, 8, (1, 2)),
    "cpu": (5000, 3, 8, (1,)),
    "smoke": (5000, 60, 32, (1, 2)),
}
MILESTONES = (200, 300, 350, 375)  # of 400
MEASURED = (1, 2, 5, 15, 50, 150, 400)  # of 400


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "" (all images), "subset" (5000), "layers" (1000), "cpu" or "smoke"."""
    require_argument(arg, ("subset", "layers", "cpu", "smoke"))
    images, epochs, width, seeds = SIZES[arg]
    per_epoch = -(-images // BATCH)
    steps = epochs * per_epoch
    experiment = Experiment(
        name="End-to-end against layer-wise training, CIFAR-10",
        grid=Grid(
            scheme=("end_to_end", "layerwise"),
            weight_decay=(0.0,),
            learning_rate=(5e-4,),
            init_scale=(1.0,),
            seed=seeds,
        ),
        steps=steps,
        batch_size=BATCH,
        loss="cross_entropy",
        task=Task("cifar10", train_size=images, test_size=2000),
        model=Model("vgg11", width=width, dropout=0.2),
        optimizer=Optimizer("adam"),
        training=Training(
            rate=Rate(milestones=tuple(steps * at // 400 for at in MILESTONES), factor=0.2), augment=("flip",)
        ),
        measures=("fit", "norms"),
        log=Schedule("geometric", points=12),
        snapshots=Snapshots(
            Schedule("explicit", at=tuple(sorted({0, *(steps * at // 400 for at in MEASURED)}))),
            content=("parameters",),
        ),
        packing=Packing(runs_per_tile=1),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.6),
    )
    if arg == "layers":
        experiment.task.test_size = 1000
        experiment.model.dropout = 0.0
        experiment.training.augment, experiment.training.batch_norm = (), "batch"
        experiment.grid.learning_rate = (2e-3,)
        experiment.snapshots.schedule.at = tuple(epoch * per_epoch for epoch in (0, 3, 8, 15, 30))
    if arg == "smoke":
        experiment.grid.learning_rate = (5e-3,)  # of which so few steps show something
        return smoke(experiment, steps=100)
    return experiment
