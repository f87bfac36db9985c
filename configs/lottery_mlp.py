"""Lottery tickets of an MLP by iterative magnitude pruning (arXiv 2205.07320), four questions.

    python -m collapse_jax train --config=configs/lottery_mlp.py:cpu --workdir=runs/lottery_mlp
    python -m collapse_jax train --config=configs/lottery_mlp.py --workdir=runs/lottery_mlp_full
    python -m scripts.digits --file=digits.npz
    python -m collapse_jax train --config=configs/lottery_mlp.py:digits --workdir=runs/digits
    python -m collapse_jax train --config=configs/lottery_mlp.py:images --workdir=runs/images
    python -m collapse_jax train --config=configs/lottery_mlp.py:noise --workdir=runs/noise
    python -m collapse_jax train --config=configs/lottery_mlp.py:grok --workdir=runs/grok
    python -m collapse_jax measure --workdir=runs/digits --measures=distance,flatness,pac_bayes
    python -m collapse_jax plot --workdir=runs/digits

MLP N-300-100-10, cross-entropy, SGD with momentum 0.9, weight decay 1e-4, batches of 128, the learning rate times
0.1 at 2/3 and 5/6 of a level; between two levels a share of the weights that remain is pruned, the smallest of all
layers, and the others rewound to theta_0. Kernels begin normal with the variance 2 / inputs. The paper prunes
Conv-2 and ResNet20 (configs/lottery_nets.py).

* "": the first 1000 MNIST images, 16 levels of 600 steps, 20 % pruned ("cpu": 3 rates, 2 seeds). These two begin
  uniform with the same variance, biases with it.
* "digits": sklearn's digits, 1,300 images of 8 x 8, 400 steps a level, label noise 0 and 0.4: so few steps that the
  same mask with other weights is behind at small rates.
* "images": the first 10,000 MNIST images, pixels in 0 ... 1, the same; with files at hand
  --config.task.data_dir=FOLDER_OF_mnist.
* "noise": the digits with 4,000 steps a level, so that wrong labels are fitted, 4 levels, 52.5 % pruned (density
  0.107 at the last); with RNC1 and NC2.
* "grok": do tickets grok earlier? The main experiment (configs/mnist_mlp.py) at weight decay 0.3 with 70 % pruned
  after each 10,000 steps; --config.training.levels.rule=random prunes others.

The control, the mask of a level with other initial weights, is a sweep of one level; "ARG-control" has its seeds:

    python -m scripts.ticket_masks --workdir=runs/digits --level=10 --file=masks.npz
    python -m collapse_jax train --config=configs/lottery_mlp.py:digits-control --workdir=runs/digits_control \
        --config.training.mask=masks.npz

docs/papers/tickets.md has the numbers.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Levels, Rate, Training

CONTROL = "control"
HE = 6**0.5  # times uniform in +-1/sqrt(inputs)
SEEDS = (0, 1, 2, 3, 4)


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", a question, one of these with "-control", "cpu" or "smoke"."""
    questions = ("digits", "images", "noise", "grok")
    require_argument(arg, ("cpu", "smoke", CONTROL, *questions, *(f"{name}-{CONTROL}" for name in questions)))
    name = arg.removesuffix(CONTROL).removesuffix("-")
    experiment = {"digits": _digits, "images": _images, "noise": _noise, "grok": _grok}.get(name, _first)()
    if arg == "cpu":
        experiment.grid.learning_rate, experiment.grid.seed = (0.01, 0.03, 0.1), (0, 1)
    if arg.endswith(CONTROL):
        _become_control(experiment)
    return smoke(experiment) if arg == "smoke" else experiment


def _first() -> Experiment:
    rates = (0.003, 0.01, 0.03, 0.1, 0.2)
    experiment = _leveled(16, 600, 0.2, rates, (0, 2, 5, 8, 10, 12, 15), Task(test_size=2000))
    experiment.grid.init_scale, experiment.model.init = (HE,), "default"
    return experiment


def _digits() -> Experiment:
    task = Task("digits.npz", train_size=1300)
    experiment = _leveled(16, 400, 0.2, (0.003, 0.01, 0.03, 0.1, 0.3), (0, 2, 5, 8, 10, 12, 15), task)
    experiment.grid.flip_rate = (0.0, 0.4)
    return experiment


def _images() -> Experiment:
    task = Task(train_size=10_000, normalisation="unit")
    experiment = _leveled(16, 400, 0.2, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), (0, 5, 10, 15), task)
    experiment.grid.flip_rate = (0.0, 0.4)
    return experiment


def _noise() -> Experiment:
    task = Task("digits.npz", train_size=1300)
    experiment = _leveled(4, 4000, 0.525, (0.01, 0.03, 0.1), (0, 1, 2, 3), task)
    experiment.grid.flip_rate, experiment.grid.seed = (0.0, 0.4), SEEDS[:3]
    experiment.measures = ("fit", "norms", "memorisation", "collapse")
    return experiment


def _grok() -> Experiment:
    steps, levels = 10_000, 3
    geometric = sorted({round(100 * (steps / 100) ** (i / 39)) for i in range(40)})
    at = (0, *(level * steps + step for level in range(levels) for step in geometric))
    return Experiment(
        name="Do tickets grok earlier?",
        grid=Grid(weight_decay=(0.3,), seed=(42, 43, 44)),
        steps=levels * steps,
        task=Task(test_size=2000),
        training=Training(levels=Levels(steps, prune=0.7)),
        log=Schedule("explicit", at=at),
        snapshots=Snapshots(Schedule("explicit", at=_ends(range(levels), steps)), content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8),
    )


def _leveled(
    levels: int, steps: int, prune: float, rates: tuple[float, ...], measured: tuple[int, ...], task: Task
) -> Experiment:
    """Levels of the MLP, of which those `measured` are stored at their end."""
    every = range(levels)
    return Experiment(
        name="Lottery tickets of an MLP",
        grid=Grid(weight_decay=(1e-4,), learning_rate=rates, init_scale=(1.0,), seed=SEEDS),
        steps=levels * steps,
        batch_size=128,
        loss="cross_entropy",
        task=task,
        model=Model(hidden=(300, 100), init="kaiming_normal"),
        optimizer=Optimizer("sgd", momentum=0.9),
        training=Training(
            rate=Rate(milestones=(2 * steps // 3, 5 * steps // 6)), levels=Levels(steps, prune=prune)
        ),
        measures=("fit", "norms"),
        log=Schedule("explicit", at=(0, *sorted((*_ends(every, steps, steps // 10), *_ends(every, steps))))),
        snapshots=Snapshots(Schedule("explicit", at=_ends(measured, steps)), content=("parameters",)),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.85),
    )


def _ends(levels: range | tuple[int, ...], steps: int, step: int = 0) -> tuple[int, ...]:
    """The steps at which levels end, or at which they have taken `step` steps."""
    return tuple(level * steps + (step or steps) for level in levels)


def _become_control(experiment: Experiment) -> None:
    """One level, with other seeds."""
    steps = experiment.training.levels.steps
    experiment.steps, experiment.training.levels = steps, Levels()
    experiment.grid.seed = tuple(1000 + seed for seed in experiment.grid.seed)
    for schedule in (experiment.log, experiment.snapshots.schedule):
        schedule.at = tuple(step for step in schedule.at if step <= steps)
