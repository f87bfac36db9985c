"""The main experiment of arXiv 2509.20829 (its Figures 2 to 5): grokking of an MLP, for six weight decays.

    python -m collapse_jax train --config=configs/mnist_mlp.py:cpu --workdir=runs/mnist_mlp_cpu
    python -m collapse_jax train --config=configs/mnist_mlp.py --workdir=runs/mnist_mlp
    python -m collapse_jax train --config=configs/mnist_mlp.py:300k --workdir=runs/mnist_mlp_300k

MLP 784-200-200-200-10 with ReLU, PyTorch's initialisation times 8, on the first 1000 MNIST images; squared error
summed over batch and classes, AdamW at 1e-3, batch 100; 6 weight decays x 5 seeds.

What to expect (100,000 steps; docs/mnist_mlp/): at weight decay 0.01 and step 16,000 the training accuracy is 0.99
to 1.00 and the test accuracy 0.15 to 0.18; at step 100,000 they are 1.00 and 0.88 (the paper: 1.00 and 0.15, 1.00
and 0.88). Larger weight decays grok earlier: test accuracy 0.8 after 6,800 steps at 0.3, 48,000 at 0.001. Time:
94 s on one H200, 80 min on 2 CPU cores beside other jobs. 1.2 GB of disk, nearly all of it parameters in
snapshots/, from which `measure` computes features of any examples again.
"""

from collapse_jax.experiment.config import Experiment, Grid, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "100k" (default), "300k", "cpu" (6 runs, 30,000 steps) or "smoke"."""
    require_argument(arg, ("100k", "300k", "cpu", "smoke"))
    experiment = Experiment(
        name="Grokking of an MLP on MNIST",
        grid=Grid(weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001), seed=(42, 43, 44, 45, 46)),
        steps=300_000 if arg == "300k" else 100_000,
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "cpu":
        return reduced(
            experiment, steps=30_000, points=80, test_examples=2000, weight_decay=(0.3, 0.1, 0.03), seed=(42, 43)
        )
    return smoke(experiment) if arg == "smoke" else experiment
