"""Token selection of attention on noisy labels (arXiv 2409.17625): harmful, benign and no overfitting.

    python -m collapse_jax train --config=configs/token_selection.py --workdir=runs/token_selection
    python -m collapse_jax train --config=configs/token_selection.py:cpu --workdir=runs/token_selection_cpu
    python -m collapse_jax train --config=configs/token_selection.py:benign --workdir=runs/benign
    python -m collapse_jax train --config=configs/token_selection.py:map --workdir=runs/token_map
    python -m collapse_jax train --config=configs/token_selection.py:encoder --workdir=runs/encoder_map

Attention f(X) = nu^T X^T softmax(X W p) on 20 sequences of 8 tokens in R^d, of which 4 have the wrong label;
logistic loss, gradient descent on all of them, learning rate 5e-3, 1000 steps, as in the code of the paper. Test
examples share no noise with the training set; that code draws both with one seed, task.test_noise="training".

"" is three dimensions x three norms of the signal x 20 seeds; "harmful", "benign" and "large_signal" are the
paper's three cells of it alone. "map" is its 39 x 39 heatmap with two seeds, measured at the end; "encoder" one of
10 x 10 of the one-layer encoder, by automatic differentiation. "decay" and "noise" are maps of weight decays, and
of shares of wrong labels, against the signal at d = 2000, ten seeds each; "long" takes 100,000 steps at a tenfold
rate, twenty seeds.
"""

import dataclasses
from collections.abc import Iterable

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task
from collapse_jax.experiment.sizes import reduced, require_argument, smoke

# Dimension and norm of the signal.
CELLS = {"harmful": (4500, 5.0), "benign": (2000, 20.0), "large_signal": (250, 80.0)}
MEASURES = ("fit", "attention", "memorisation")
SIGNALS = (5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0)
DECAYS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (without d = 4500, two seeds), "smoke", or as above."""
    require_argument(arg, ("cpu", "smoke", *CELLS, "map", "encoder", "decay", "noise", "long"))
    dimensions, norms = (250, 2000, 4500), (5.0, 20.0, 80.0)
    if arg in CELLS:
        dimensions, norms = ((value,) for value in CELLS[arg])
    experiment = Experiment(
        name="Token selection",
        grid=Grid(
            dimension=dimensions,
            weight_decay=(0.0,),
            learning_rate=(5e-3,),
            init_scale=(1.0,),
            signal_norm=norms,
            seed=tuple(range(20)),
        ),
        steps=1000,
        batch_size=0,
        loss="cross_entropy",
        task=Task("token_selection", train_size=20, test_size=1000, label_noise=0.2),
        model=Model("token_selection"),
        optimizer=Optimizer("gd"),
        measures=(*MEASURES, "collapse"),
        log=Schedule("geometric", points=25),
        snapshots=Snapshots(content=()),
    )
    if arg == "map":
        axes = {
            "dimension": tuple(250 + 125 * i for i in range(39)),
            "signal_norm": tuple(5 + 2.5 * i for i in range(39)),
        }
        return _map(experiment, axes, (0, 1))
    if arg == "encoder":
        axes = {
            "dimension": tuple(range(500, 5001, 500)),
            "signal_norm": tuple(float(norm) for norm in range(5, 96, 10)),
        }
        encoder = dataclasses.replace(experiment, model=Model("token_encoder"))
        return _map(encoder, axes, (0,))
    if arg == "decay":
        axes = {"dimension": (2000,), "weight_decay": DECAYS, "signal_norm": SIGNALS}
        return _map(experiment, axes, range(10))
    if arg == "noise":
        axes = {"dimension": (2000,), "flip_rate": SHARES, "signal_norm": SIGNALS}
        return _map(experiment, axes, range(10), label_noise=0.0)
    if arg == "long":
        axes = {"dimension": (1000,), "learning_rate": (5e-2,), "signal_norm": (5.0, 7.0, 10.0)}
        grid = dataclasses.replace(experiment.grid, **axes)
        return dataclasses.replace(experiment, grid=grid, steps=100_000)
    if arg == "cpu":
        return reduced(experiment, steps=1000, points=20, dimension=(250, 2000), seed=(0, 1))
    if arg == "smoke":
        small = smoke(experiment)
        small.grid.dimension = (16, 32)
        return small
    return experiment


def _map(e: Experiment, axes: dict, seeds: Iterable[int], **task: float) -> Experiment:
    """Return a map over two axes, measured at the end."""
    grid, changed = dataclasses.replace(e.grid, **axes, seed=tuple(seeds)), dataclasses.replace(e.task, **task)
    return dataclasses.replace(e, grid=grid, task=changed, measures=MEASURES, log=Schedule("explicit"))
