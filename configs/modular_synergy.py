"""Synergy and redundancy of the neurons while modular addition is grokked (arXiv 2408.08944).

    python -m collapse_jax train --config=configs/modular_synergy.py:cpu --workdir=runs/synergy_cpu
    python -m collapse_jax train --config=configs/modular_synergy.py --workdir=runs/synergy
    python -m collapse_jax measure --workdir=runs/synergy --measures=synergy

The paper's system: (a + b) mod 97, one-hot, 40 % of the pairs; MLP 194-250-97 with ReLU and no bias of the output;
full-batch AdamW at 0.03 with b2 = 0.98 and cross-entropy, 4000 steps, five seeds. "" and "cpu" are its two weight
decays, 0.1 and 2; "decays" are those that do not grok, 10 and 50, and what memorises: no decay at all; "scales" are
initialisation scales 1, 8 and 50 without decay, the norm of the weights held constant and the last layer zero at
the beginning; "seeds" are 20 seeds of what groks fast (2) and of what memorises (0), for the verdict. "subnetwork"
and "inverse" train again, from the same initial numbers, with the first-layer weights of the most synergistic
neurons alone, or of all others (masks of the repository, made by scripts/synergy_masks.py).
"""

from collapse_jax.experiment.config import (
    Experiment,
    Grid,
    Model,
    Optimizer,
    Schedule,
    Snapshots,
    Task,
    Thresholds,
    Training,
)
from collapse_jax.experiment.sizes import require_argument, smoke

MASKS = "docs/experiments/modular_synergy"  # from the root of the repository
# Argument -> axes, steps, snapshots.
GRIDS = {
    "": ({"weight_decay": (0.1, 2.0)}, 4000, 60),
    "cpu": ({"weight_decay": (0.1, 2.0)}, 4000, 30),
    "decays": ({"weight_decay": (0.0, 10.0, 50.0), "seed": (0, 1)}, 1000, 24),
    "scales": ({"weight_decay": (0.0,), "init_scale": (1.0, 8.0, 50.0), "seed": (0, 1)}, 1000, 24),
    "subnetwork": ({"weight_decay": (2.0,)}, 800, 20),
    "inverse": ({"weight_decay": (2.0,)}, 800, 20),
    "seeds": ({"weight_decay": (0.0, 2.0), "seed": tuple(range(20))}, 800, 20),
}


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "smoke" or one of `GRIDS`."""
    require_argument(arg, (*GRIDS, "smoke"))
    axes, steps, points = GRIDS[arg if arg in GRIDS else ""]
    held, masked = arg == "scales", arg in ("subnetwork", "inverse")
    experiment = Experiment(
        name="Synergy in modular addition",
        grid=Grid(**{"learning_rate": (0.03,), "init_scale": (1.0,), "seed": (0, 1, 2, 3, 4)} | axes),
        steps=steps,
        batch_size=0,
        loss="cross_entropy",
        task=Task("modular", modulus=97, train_size=0.4),
        model=Model(hidden=(250,), head_bias=False, init="zero_last_layer" if held else "all"),
        optimizer=Optimizer(b2=0.98),
        training=Training(terms=("fixed_norm",) if held else (), mask=f"{MASKS}/{arg}.npz" if masked else ""),
        measures=("fit", "norms", "collapse", "spectrum") if steps == 4000 else ("fit", "norms"),
        log=Schedule("geometric", points=120 if steps == 4000 else 60),
        snapshots=Snapshots(Schedule("geometric", points=points), ("parameters",)),
        thresholds=Thresholds(train_accuracy=0.98, test_accuracy=0.98),
    )
    return smoke(experiment, train_size=40) if arg == "smoke" else experiment
