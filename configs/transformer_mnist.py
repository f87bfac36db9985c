"""A transformer on the patches of MNIST (Figure 9 of arXiv 2509.20829): NC1, not RNC1, follows the test accuracy.

    python -m collapse_jax train --config=configs/transformer_mnist.py:cpu --workdir=runs/transformer_mnist
    python -m collapse_jax train --config=configs/transformer_mnist.py:cpu_sizes --workdir=runs/transformer_sizes
    python -m collapse_jax train --config=configs/transformer_mnist.py --workdir=runs/transformer_mnist_full
    python -m collapse_jax train --config=configs/transformer_mnist.py:sizes --workdir=runs/transformer_sizes_full

49 patches of 4 x 4 pixels behind a CLS token, learned positions, one post-LayerNorm encoder layer (width 128, 4
heads, feed-forward 256), head on CLS (201,738 parameters); the initial weights and biases of the feed-forward block
and of the head times 8; squared error summed over batch and classes, AdamW at 1e-3, batch 100, the first 1000 MNIST
images; 6 weight decays x 5 seeds. The argument "sizes" gives the sweep of training sizes at weight decay 0.01.

What the paper says of its Figure 9: no grokking; RNC1 and test accuracy disagree, NC1 follows the test accuracy
(both are in-line measures here). It does not give training size, number of steps and scale of this figure: those
of its MLP are taken, and what its code scales. The sizes 100, 300 and 1000 are chosen here.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "sizes", "cpu" or "cpu_sizes" (3 runs, 1500 steps), or "smoke"."""
    require_argument(arg, ("sizes", "cpu", "cpu_sizes", "smoke"))
    seeds = (42, 43, 44, 45, 46)
    if arg.endswith("sizes"):
        grid = Grid(train_size=(100, 300, 1000), weight_decay=(0.01,), seed=seeds)
    else:
        grid = Grid(weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001), seed=seeds)
    experiment = Experiment(
        name="Collapse of a transformer on MNIST",
        grid=grid,
        steps=100_000,
        model=Model("transformer"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head")),
        thresholds=Thresholds(test_accuracy=0.85, rnc1=0.03),
    )
    if arg == "cpu":
        return reduced(experiment, steps=1500, test_examples=1000, weight_decay=(0.3, 0.1, 0.01), seed=(42,))
    if arg == "cpu_sizes":
        return reduced(experiment, steps=1500, test_examples=1000, seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
