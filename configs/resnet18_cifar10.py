"""ResNet18 on CIFAR-10 (Figure 14 of arXiv 2509.20829): collapse and information without grokking.

    python -m collapse_jax prepare --dataset=cifar10
    python -m collapse_jax train --config=configs/resnet18_cifar10.py:cpu --workdir=runs/resnet18_cifar10
    python -m collapse_jax train --config=configs/resnet18_cifar10.py --workdir=runs/resnet18_cifar10_full
    python -m collapse_jax measure --workdir=runs/resnet18_cifar10_full --measures=nhsic,mutual_information

The CIFAR form of ResNet18 (3 x 3 stem without pooling, BatchNorm; 11,173,962 parameters), standard initialisation
(scale 1), all 50,000 training images without augmentation; squared error summed over batch and classes. The
figure shows superfluous information, which `measure` takes afterwards: parameters are stored. Images of one's own
instead of the prepared set: --config.task.dataset=FILE.npz

The paper says of its Figure 14: superfluous information and RNC1 both decrease, and compression begins after the
training set is fitted. It gives the scale and the training size, but no optimizer, batch, weight decay and steps of
this figure: those of its MLP are taken (AdamW at 1e-3, batch 100, 0.01), and 100,000 steps, which are 200 epochs.
A GPU or TPU is needed. The argument "cpu" trains a network an eighth as wide on the first 5000 images for a
few epochs, one seed: it shows the beginning.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (width 8, 5000 images, one seed, 500 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse of ResNet18 on CIFAR-10",
        grid=Grid(weight_decay=(0.01,), init_scale=(1.0,), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        task=Task("cifar10", train_size=50_000),
        model=Model("resnet18"),
        log=Schedule(rule="geometric", points=60),
        snapshots=Snapshots(Schedule(rule="geometric", points=30), ("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.03),
    )
    if arg == "cpu":
        experiment.model.width = 8
        return reduced(experiment, steps=500, points=12, train_examples=5000, test_examples=1000, seed=(42,))
    return smoke(experiment, steps=60) if arg == "smoke" else experiment
