"""Modular arithmetic with and without regularisers (arXiv 2412.09810): grokking, and how small weights compress.

    python -m collapse_jax train --config=configs/modular_complexity.py:cpu --workdir=runs/addition_cpu
    python -m collapse_jax train --config=configs/modular_complexity.py --workdir=runs/addition
    python -m collapse_jax train --config=configs/modular_complexity.py:addition-plain --workdir=runs/addition_plain
    python -m collapse_jax measure --workdir=runs/addition --measures=complexity

The paper's system: p = 113, transformer of width 128 with one layer (addition, multiplication) or two (subtraction,
division), trained on 20 % or 30 % of the pairs with AdamW at 1e-3 (b2 = 0.98), weight decay 1, batch 512;
regularised by noise of 0.01 (or 0.001) on the weights and a penalty of 0.1 on the spectral entropy of its matrices.
"-plain" is without either, at weight decays 1 and 0. An epoch is 5 steps (addition, multiplication) or 8; snapshots
are taken after the epochs at which the paper's code measures. The loss is cross-entropy without its clipping.

What to expect (3 seeds, 3,000 steps; docs/papers/complexity.md): regularised addition is fitted at epoch 81,
complexity at distortion 1 peaks with 82 kB at epoch 87 and is 21 kB at epoch 600, test accuracy is 0.99 from
epochs 452 to 532 on; multiplication is the same within the spread of its seeds (0.99 from epochs 302 to 532
on). Without any regulariser it stays at 106 and 110 kB and nothing generalises; with weight decay alone it
peaks with twice that before it falls. Subtraction and division (one seed, 4,800 steps) are fitted at epoch 45,
have generalised by epochs 505 and 600, and fall from 193 and 189 kB to 46 and 45.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke

# Operation -> share of the pairs that is trained on, layers, noise on the weights, steps of an epoch.
OPERATIONS = {
    "addition": (0.2, 1, 1e-2, 5),
    "multiplication": (0.2, 1, 1e-2, 5),
    "subtraction": (0.3, 2, 1e-3, 8),
    "division": (0.3, 2, 1e-3, 8),
}
EPOCHS = 10_000


def get_config(arg: str = "") -> Experiment:
    """Return the experiment of an operation, "addition" by default, regularised or "OPERATION-plain".

    "cpu" is regularised addition of one seed for 600 epochs, "smoke" two runs of a tiny network.
    """
    names = [name + suffix for name in OPERATIONS for suffix in ("", "-plain")]
    require_argument(arg, ("cpu", "smoke", *names))
    operation = arg.removesuffix("-plain") if arg in names else "addition"
    share, depth, noise, per_epoch = OPERATIONS[operation]
    plain = arg.endswith("-plain")
    regularisers = {} if plain else {"weight_noise": (noise,), "spectral_entropy": (0.1,)}
    # The code counts epochs from 0 and measures after the epoch.
    epochs = sorted({int(1.3**n) + 1 for n in range(35)})
    experiment = Experiment(
        name=f"Modular {operation}{', no regulariser but weight decay' if plain else ''}",
        grid=Grid(weight_decay=(1.0, 0.0) if plain else (1.0,), init_scale=(1.0,), seed=(0, 1, 2), **regularisers),
        steps=EPOCHS * per_epoch,
        batch_size=512,
        loss="cross_entropy",
        task=Task("modular", modulus=113, operation=operation, form="all_tokens", split="seed", train_size=share),
        model=Model("decoder", depth=depth),
        optimizer=Optimizer(b2=0.98),
        measures=("fit", "norms"),
        log=Schedule("geometric", points=100),
        snapshots=Snapshots(
            Schedule("explicit", at=tuple(per_epoch * epoch for epoch in (0, *epochs))), ("parameters",)
        ),
        thresholds=Thresholds(train_accuracy=0.99, test_accuracy=0.99),
    )
    if arg == "cpu":
        at = tuple(step for step in experiment.snapshots.schedule.at if step <= 3000)
        small = reduced(experiment, steps=3000, points=60, seed=(0,))
        small.snapshots.schedule = Schedule("explicit", at=at)
        return small
    return smoke(experiment) if arg == "smoke" else experiment
