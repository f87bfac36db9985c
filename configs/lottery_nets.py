"""Lottery tickets of the networks of arXiv 2205.07320: Conv-2 on MNIST and ResNet20 on CIFAR-10.

    python -m collapse_jax train --config=configs/lottery_nets.py --workdir=runs/conv2
    python -m collapse_jax train --config=configs/lottery_nets.py:cpu --workdir=runs/conv2_cpu
    python -m collapse_jax train --config=configs/lottery_nets.py:resnet20 --workdir=runs/resnet20
    python -m collapse_jax train --config=configs/lottery_nets.py:resnet20-cpu --workdir=runs/resnet20_cpu
    python -m collapse_jax train --config=configs/lottery_nets.py:paper --workdir=runs/resnet20_paper
    python -m collapse_jax measure --workdir=runs/conv2 --measures=distance,flatness

Kernels normal with the variance 2 / inputs, scales of BatchNorm uniform in 0 ... 1, cross-entropy, SGD with
momentum 0.9, weight decay 1e-4, batches of 128, the learning rate times 0.1 at 2/3 and 5/6 of a level; the smallest
weights of all layers go (of ResNet20 not those of the last), the others are rewound to theta_0.

| | images | levels x steps | pruned after each | rates x seeds |
|---|---|---|---|---|
| "" | 10,000 | 6 x 400 | 36 %: density 0.107 at the last, as after 10 times 20 % | 4 x 2 |
| "cpu": half the width, batches of 32 | 1000 | 6 x 200 | 36 % | 2 x 2 |
| "resnet20" | 5000 | 6 x 600 | 36 % | 3 x 2 |
| "resnet20-cpu": batches of 32 | 1000 | 3 x 200 | 67.3 %: density 0.107 at the last | 2 x 1 |
| "paper", ResNet20; it needs a GPU for long | 50,000 | 16 x 30,000 | 20 % | 2 x 2 |

The control, the mask of a level with other initial weights, is a sweep of one level, "ARG-control":

    python -m scripts.ticket_masks --workdir=runs/conv2_cpu --level=5 --file=masks.npz
    python -m collapse_jax train --config=configs/lottery_nets.py:cpu-control --workdir=runs/conv2_cpu_control \\
        --config.training.mask=masks.npz

Files at hand: --config.task.data_dir=FOLDER_OF_mnist; --config.task.dataset=FILE.npz.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Levels, Rate, Training

CONTROL = "control"
SIZES = ("cpu", "resnet20", "resnet20-cpu")


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", one of `SIZES`, these with "-control", "control", "paper" or "smoke"."""
    require_argument(arg, (*SIZES, "paper", CONTROL, *(f"{size}-{CONTROL}" for size in SIZES), "smoke"))
    if arg == "paper":
        return _leveled("resnet20", _cifar10(50_000, 10_000), 16, 30_000, 0.2, (0.01, 0.1), (0, 1))
    size = arg.removesuffix(CONTROL).removesuffix("-")
    if size == "resnet20":
        experiment = _leveled("resnet20", _cifar10(5000, 2000), 6, 600, 0.36, (0.01, 0.03, 0.1), (0, 1))
    elif size == "resnet20-cpu":
        experiment = _leveled("resnet20", _cifar10(1000, 1000), 3, 200, 0.673, (0.01, 0.1), (0,))
    elif size == "cpu":
        task = Task(train_size=1000, test_size=1000)
        experiment = _leveled("conv2", task, 6, 200, 0.36, (0.003, 0.03), (0, 1))
        experiment.model.width = 32
    else:
        task = Task(train_size=10_000, test_size=2000)
        experiment = _leveled("conv2", task, 6, 400, 0.36, (0.001, 0.003, 0.01, 0.03), (0, 1))
    if size.endswith("cpu"):
        experiment.batch_size = 32
    if arg.endswith(CONTROL):
        _become_control(experiment)
    return smoke(experiment) if arg == "smoke" else experiment


def _cifar10(train_size: int, test_size: int) -> Task:
    return Task("cifar10", train_size=train_size, test_size=test_size)


def _leveled(
    model: str,
    task: Task,
    levels: int,
    steps: int,
    prune: float,
    rates: tuple[float, ...],
    seeds: tuple[int, ...],
) -> Experiment:
    ends = tuple((level + 1) * steps for level in range(levels))
    ignored = ("head",) if model == "resnet20" else None
    return Experiment(
        name=f"Lottery tickets of {model}",
        grid=Grid(weight_decay=(1e-4,), learning_rate=rates, init_scale=(1.0,), seed=seeds),
        steps=levels * steps,
        batch_size=128,
        loss="cross_entropy",
        task=task,
        model=Model(model, init="kaiming_normal"),
        optimizer=Optimizer("sgd", momentum=0.9),
        training=Training(
            rate=Rate(milestones=(2 * steps // 3, 5 * steps // 6)),
            levels=Levels(steps, prune=prune, ignored=ignored),
        ),
        measures=("fit", "norms"),
        log=Schedule("explicit", at=(0, *ends)),
        snapshots=Snapshots(Schedule("explicit", at=ends), content=("parameters",)),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.9),
    )


def _become_control(experiment: Experiment) -> None:
    """One level, with other seeds."""
    steps = experiment.training.levels.steps
    experiment.steps, experiment.training.levels = steps, Levels()
    experiment.grid.seed = tuple(1000 + seed for seed in experiment.grid.seed)
    experiment.log.at, experiment.snapshots.schedule.at = (0, steps), (steps,)
