r"""End-to-end against layer-wise training of one MLP (arXiv 2402.09050): what the layers keep of inputs and labels.

    python -m collapse_jax train --config=configs/layerwise_mlp.py:cpu --workdir=runs/layerwise_mlp
    python -m collapse_jax train --config=configs/layerwise_mlp.py --workdir=runs/layerwise_mlp_4000
    python -m collapse_jax train --config=configs/layerwise_mlp.py:depth --workdir=runs/layerwise_mlp_depth
    python -m collapse_jax train --config=configs/layerwise_mlp.py:norm --workdir=runs/layerwise_mlp_norm
    python -m collapse_jax train --config=configs/layerwise_mlp.py:sequential --workdir=runs/layerwise_mlp_stages
    python -m collapse_jax measure --workdir=runs/layerwise_mlp --measures=layerwise \
        --options=mode=reference,batch_size=128

MLP 784 - 6 x [Linear 128, BatchNorm, ReLU] - 10 on MNIST, Adam at 5e-4 without weight decay, batch 128, 60
epochs, 5 seeds; BatchNorm is measured with the statistics of the examples that are evaluated together.
"layerwise" gives each block a linear head and a cross-entropy of its own and cuts the gradients between them; the
accuracy is that of the linear classifier on the last features. The paper's networks are ResNets and VGG on
CIFAR-10; this is the smallest experiment that shows its claims. Without an argument it takes the first 4000
training images of the official files (`--config.task.data_dir`), else the first 1000, which are in the package:
"cpu" the same grid, "depth" networks of 2 to 12 layers, "norm" the control without BatchNorm, "sequential" the
third scheme, one block after the other, of as many steps in all.

What to expect of the 4000 images (docs/papers/layerwise.md): test accuracy .912 end to end and .880 layer by layer.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Training

EPOCHS, MEASURED = 60, (0, 1, 2, 3, 5, 8, 12, 20, 35, 60)
BATCH = 128
STAGES = 7  # six blocks and the classifier


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (1000 images), "depth", "norm", "sequential" or "smoke"."""
    require_argument(arg, ("cpu", "depth", "norm", "sequential", "smoke"))
    size = 1000 if arg else 4000
    per_epoch = -(-size // BATCH)
    experiment = Experiment(
        name="End-to-end against layer-wise training",
        grid=Grid(
            scheme=("end_to_end", "layerwise"),
            weight_decay=(0.0,),
            learning_rate=(5e-4,),
            init_scale=(1.0,),
            seed=(0, 1, 2, 3, 4),
        ),
        steps=EPOCHS * per_epoch,
        batch_size=BATCH,
        loss="cross_entropy",
        task=Task(train_size=size, test_size=2000),
        model=Model(hidden=(128,) * 6, norm="batch"),
        training=Training(batch_norm="batch"),
        measures=("fit", "norms"),
        log=Schedule("geometric", points=30),
        snapshots=Snapshots(
            Schedule("explicit", at=tuple(epoch * per_epoch for epoch in MEASURED)), content=("parameters",)
        ),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.85),
    )
    if arg == "depth":
        experiment.grid.depth = (2, 4, 6, 8, 12)
    if arg == "norm":
        experiment.grid.norm = ("batch", "none")
    if arg == "sequential":
        experiment.grid.scheme = (*experiment.grid.scheme, "layerwise_sequential")
        experiment.steps = STAGES * (experiment.steps // STAGES)
        experiment.training.stages = (experiment.steps // STAGES,) * STAGES
        experiment.snapshots.schedule.at = tuple(experiment.steps // STAGES * stage for stage in range(STAGES))
    return smoke(experiment) if arg == "smoke" else experiment
