"""Lottery tickets of the networks of arXiv 2205.07320: Conv-2 on MNIST and ResNet20 on CIFAR-10.

    python -m collapse_jax train --config=configs/lottery_nets.py --workdir=runs/conv2
    python -m collapse_jax train --config=configs/lottery_nets.py:cpu --workdir=runs/conv2_cpu
    python -m collapse_jax train --config=configs/lottery_nets.py:resnet20 --workdir=runs/resnet20
    python -m collapse_jax train --config=configs/lottery_nets.py:paper --workdir=runs/resnet20_paper
    python -m scripts.ticket_masks --workdir=runs/conv2 --level=5 --file=masks.npz
    python -m collapse_jax train --config=configs/lottery_nets.py:control --workdir=runs/conv2_control \
        --config.training.mask=masks.npz
    python -m collapse_jax measure --workdir=runs/conv2 --measures=distance,flatness

Kernels normal with the variance 2 / inputs, scales of BatchNorm uniform in 0 ... 1, cross-entropy, SGD with
momentum 0.9, weight decay 1e-4, batches of 128, the learning rate times 0.1 at 2/3 and 5/6 of a level; the smallest
weights of all layers go (of ResNet20 not those of the last), the others are rewound to theta_0. "paper" is the
paper's ResNet20: 16 levels of 30,000 steps, 20 % pruned after each, all 50,000 images; it needs a GPU for long. ""
and "resnet20" are shorter: 6 levels of 400 and 600 steps, 36 % pruned (density 0.107 at the last, as after 10 times
20 %), the first 10,000 and 5,000 images, two seeds. "cpu" has two rates, one seed, 1000 images, a quarter of the
width. Files at hand: --config.task.data_dir=FOLDER_OF_mnist; --config.task.dataset=FILE.npz.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Levels, Rate, Training

CONTROL = "control"


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "resnet20", "control", "resnet20-control", "paper", "cpu" or "smoke"."""
    require_argument(arg, ("resnet20", "paper", CONTROL, f"resnet20-{CONTROL}", "cpu", "smoke"))
    if arg.startswith("resnet20"):
        task = Task("cifar10", train_size=5000, test_size=2000)
        experiment = _leveled("resnet20", task, 6, 600, 0.36, (0.01, 0.03, 0.1), (0, 1))
    elif arg == "paper":
        experiment = _leveled("resnet20", Task("cifar10", train_size=50_000), 16, 30_000, 0.2, (0.01, 0.1), (0, 1))
    else:
        images = 1000 if arg == "cpu" else 10_000
        task = Task(train_size=images, test_size=2000)
        rates, seeds = ((0.003, 0.03), (0,)) if arg == "cpu" else ((0.001, 0.003, 0.01, 0.03), (0, 1))
        experiment = _leveled("conv2", task, 6, 400, 0.36, rates, seeds)
    if arg == "cpu":
        experiment.model.width = 16
    if arg.endswith(CONTROL):
        _become_control(experiment)
    return smoke(experiment) if arg == "smoke" else experiment


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
        snapshots=Snapshots(Schedule("explicit", at=(ends[0], ends[-1])), content=("parameters",)),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.9),
    )


def _become_control(experiment: Experiment) -> None:
    """One level, with other seeds."""
    steps = experiment.training.levels.steps
    experiment.steps, experiment.training.levels = steps, Levels()
    experiment.grid.seed = tuple(1000 + seed for seed in experiment.grid.seed)
    experiment.log.at, experiment.snapshots.schedule.at = (0, steps), (steps,)
