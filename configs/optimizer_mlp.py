"""SGD beside AdamW, at one learning rate that serves both, from PyTorch's initialisation.

    python -m collapse_jax train --config=configs/optimizer_mlp.py:cpu --workdir=runs/optimizer_mlp
    python -m collapse_jax train --config=configs/optimizer_mlp.py --workdir=runs/optimizer_mlp_full

MLP 784-200-200-200-10 on the first 1000 MNIST images, squared error summed over batches of 100. Chosen here: scale
1 and learning rate 2e-4, because at the main experiment's scale 8 SGD needs a rate so small (the code of arXiv
2509.20829 has 5e-6) that 1 / (eta lambda) is out of reach. The weight decays give 5000, 17,000 and
50,000 steps of 1 / (eta lambda), coupled for SGD and decoupled for AdamW: per step both multiply the parameters by
1 - eta lambda. The paper's theory is about gradient descent, its experiments use AdamW. Gradient descent on the
full batch needs a rate ten times smaller with a summed loss; configs/theory_mlp.py has it.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (2 weight decays, one seed, 30,000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="SGD and AdamW",
        grid=Grid(
            optimizer=("sgd", "adamw"),
            weight_decay=(1.0, 0.3, 0.1),
            learning_rate=(2e-4,),
            init_scale=(1.0,),
            seed=(42, 43, 44, 45, 46),
        ),
        steps=100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(1.0, 0.3), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
