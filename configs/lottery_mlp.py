"""Lottery tickets of an MLP on MNIST by iterative magnitude pruning (arXiv 2205.07320).

    python -m collapse_jax train --config=configs/lottery_mlp.py:cpu --workdir=runs/lottery_mlp
    python -m collapse_jax train --config=configs/lottery_mlp.py --workdir=runs/lottery_mlp_full
    python -m collapse_jax measure --workdir=runs/lottery_mlp --measures=distance,flatness,pac_bayes
    python -m collapse_jax plot --workdir=runs/lottery_mlp
    python -m scripts.ticket_masks --workdir=runs/lottery_mlp --level=10 --folder=masks

MLP 784-300-100-10 on the first 1000 images, cross-entropy, SGD with momentum 0.9, weight decay 1e-4, batches of
128, 600 steps a level with the learning rate times 0.1 at 2/3 and 5/6 of them; 16 levels, after each of which 20 %
of the weights that remain are pruned, the smallest of all layers, and the others rewound to theta_0. The kernels
begin uniform with the variance of He's rule (2 / inputs), biases with them. The paper prunes Conv-2 and ResNet20.
With this network small rates end near theta_0 in sharp minima and large ones far from it in flat ones, as there,
but tickets are ahead of their control by 0.01 to 0.02 at every rate (docs/experiments.md; "cpu" with rates 0.01,
0.05 and 0.3). "noise" is the same with 40 % of the labels wrong.

The control: the mask of a level and other initial weights. `ticket_masks` writes the masks of one level, a file for
each learning rate in which seed s + 1000 has the mask of seed s; train each with

    python -m collapse_jax train --config=configs/lottery_mlp.py:control --workdir=runs/control \
        --config.training.mask=masks/learning_rate=0.01.npz --config.grid.learning_rate=0.01
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke
from collapse_jax.experiment.training import Levels, Rate, Training

STEPS, LEVELS = 600, 16
MEASURED = (0, 2, 5, 8, 10, 12, 15)
HE = 6**0.5  # times uniform in +-1/sqrt(inputs)


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (3 rates, 2 seeds), "noise", "control" (one level) or "smoke"."""
    require_argument(arg, ("cpu", "noise", "control", "smoke"))
    levels = 1 if arg == "control" else LEVELS
    seeds = (0, 1) if arg == "cpu" else (0, 1, 2, 3, 4)
    experiment = Experiment(
        name="Lottery tickets of an MLP",
        grid=Grid(
            weight_decay=(1e-4,),
            learning_rate=(0.01, 0.03, 0.1) if arg == "cpu" else (0.003, 0.01, 0.03, 0.1, 0.2),
            init_scale=(HE,),
            seed=tuple(1000 + seed for seed in seeds) if arg == "control" else seeds,
        ),
        steps=levels * STEPS,
        batch_size=128,
        loss="cross_entropy",
        task=Task(test_size=2000),
        model=Model(hidden=(300, 100)),
        optimizer=Optimizer("sgd", momentum=0.9),
        training=Training(
            rate=Rate(milestones=(2 * STEPS // 3, 5 * STEPS // 6)),
            levels=Levels() if arg == "control" else Levels(STEPS),
        ),
        measures=("fit", "norms"),
        log=Schedule(
            "explicit", at=(0, *(level * STEPS + part for level in range(levels) for part in (60, STEPS)))
        ),
        snapshots=Snapshots(
            Schedule("explicit", at=tuple((level + 1) * STEPS for level in MEASURED if level < levels)),
            content=("parameters",),
        ),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.85),
    )
    if arg == "noise":
        experiment.grid.flip_rate = (0.4,)
    return smoke(experiment) if arg == "smoke" else experiment
