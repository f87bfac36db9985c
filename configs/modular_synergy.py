"""Synergy and redundancy of the neurons while modular addition is grokked (arXiv 2408.08944).

    python -m collapse_jax train --config=configs/modular_synergy.py:cpu --workdir=runs/synergy_cpu
    python -m collapse_jax train --config=configs/modular_synergy.py --workdir=runs/synergy
    python -m collapse_jax measure --workdir=runs/synergy --measures=synergy

The paper's system: (a + b) mod 97, one-hot, 40 % of the pairs; MLP 194-250-97 with ReLU and no bias of the output;
full-batch AdamW at 0.03 with b2 = 0.98 and cross-entropy, 4000 steps, five seeds.

* "" and "cpu": its two weight decays, 0.1 and 2 (Figures 1 to 3).
* "decays": with those that do not grok, 10 and 50, and what memorises: no decay at all (Figures 5 and 8).
* "scales": initialisation scales 1, 8 and 50 without decay, the norm of the weights held constant and the last
  layer zero at the beginning (Figures 4, 5 and 9).
* "clamp": from scale 1, the norm held at 1 to 50 times the initial one.
* "temperature": scales 8 and 50, the norm held, the loss of the logits divided by 0.1 to 100.
* "seeds": 20 seeds of what groks fast (weight decay 2) and of what memorises (0), for the verdict.
* "subnetworks", "subnetworks-low" and "subnetworks-scale": trained again, from the same initial numbers, with the
  first-layer weights of the most synergistic neurons alone, of all others, and of random neurons of both numbers
  (masks by scripts/synergy_masks.py; Figures 6 and 7): weight decay 2 (20 seeds) and 0.1 (12), scale 8.
* "everything": 10 seeds at weight decay 2, 800 steps, for the order of all measures.
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

MASKS = "docs/experiments/modular_synergy/masks"  # from the root of the repository
KINDS = ("subnetwork", "random", "inverse", "random_inverse")
# Steps at which the grids are stored: the measure takes seconds per run and step with its nulls.
STORED = (0, 2, 8, 16, 31, 50, 80, 125, 200, 315, 500, 800, 1250, 2000, 2800)
STEPS = {"everything": 800, "subnetworks": 2000, "subnetworks-scale": 2000}  # of those that grok by step 700
NORM_HELD = ("scales", "temperature", "subnetworks-scale")
GRIDS = {
    "": {"weight_decay": (0.1, 2.0)},
    "cpu": {"weight_decay": (0.1, 2.0)},
    "decays": {"weight_decay": (0.0, 0.1, 2.0, 10.0, 50.0)},
    "scales": {"init_scale": (1.0, 8.0, 50.0)},
    "clamp": {"norm_clamp": (1.0, 4.0, 8.0, 16.0, 50.0)},
    "temperature": {"init_scale": (8.0, 50.0), "temperature": (0.1, 1.0, 10.0, 100.0)},
    "seeds": {"weight_decay": (0.0, 2.0), "seed": tuple(range(20))},
    "subnetworks": {"weight_decay": (2.0,), "seed": tuple(range(20))},
    "subnetworks-low": {"weight_decay": (0.1,), "seed": tuple(range(12))},
    "subnetworks-scale": {"init_scale": (8.0,)},
    "everything": {"weight_decay": (2.0,), "seed": tuple(range(10))},
}


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "smoke" or one of `GRIDS`."""
    require_argument(arg, (*GRIDS, "smoke"))
    axes = {"weight_decay": (0.0,), "learning_rate": (0.03,), "init_scale": (1.0,), "seed": (0, 1, 2, 3, 4)}
    axes |= GRIDS[arg if arg in GRIDS else ""]
    whole, held, again = arg in ("", "cpu", "smoke"), arg in NORM_HELD, arg.startswith("subnetworks")
    if again:
        axes["mask"] = ("", *(f"{MASKS}/{arg}/{kind}.npz" for kind in KINDS))
    stored = Schedule("explicit", at=(0,) if again else STORED)
    if whole or arg == "everything":
        stored = Schedule("geometric", points={"": 60, "everything": 18}.get(arg, 30))
    experiment = Experiment(
        name="Synergy in modular addition",
        grid=Grid(**axes),
        steps=STEPS.get(arg, 4000),
        batch_size=0,
        loss="cross_entropy",
        task=Task("modular", modulus=97, train_size=0.4),
        model=Model(hidden=(250,), head_bias=False, init="zero_last_layer" if held else "all"),
        optimizer=Optimizer(b2=0.98),
        training=Training(terms=("fixed_norm",) if held else ()),
        measures=("fit", "norms", "collapse", "spectrum") if whole else ("fit", "norms"),
        log=Schedule("geometric", points=120 if whole else 80),
        snapshots=Snapshots(stored, ("parameters",)),
        thresholds=Thresholds(train_accuracy=0.98, test_accuracy=0.98),
    )
    return smoke(experiment, train_size=40) if arg == "smoke" else experiment
