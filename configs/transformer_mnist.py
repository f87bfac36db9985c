"""A transformer on the patches of MNIST (Figure 9 of arXiv 2509.20829): NC1, not RNC1, follows the test accuracy.

    python -m collapse_jax train --config=configs/transformer_mnist.py:cpu --workdir=runs/transformer_mnist
    python -m collapse_jax train --config=configs/transformer_mnist.py --workdir=runs/transformer_mnist_full

49 patches of 4 x 4 pixels behind a CLS token, learned positions, one post-LayerNorm encoder layer (width 128, 4
heads, feed-forward 256), head on CLS (201,738 parameters); the initial weights and biases of the feed-forward block
and of the head times 8; squared error summed over batch and classes, AdamW at 1e-3, batch 100, the first 1000 MNIST
images; 6 weight decays x 5 seeds. `--config.task.train_size=300` gives the sweep of training sizes.

What the paper says of its Figure 9: no grokking; RNC1 and test accuracy disagree, NC1 follows the test accuracy
(both are in-line measures here). It does not give training size, number of steps and scale of this figure: those
of its MLP are taken, and what its code scales.
"""

from collapse_jax.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds

ARGUMENTS = {"": 100_000, "cpu": 1500, "smoke": 20}


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (3 weight decays, one seed) or "smoke" (2 runs, 20 steps)."""
    if arg not in ARGUMENTS:
        raise ValueError(f"argument {arg!r}: must be one of {', '.join(filter(None, ARGUMENTS))}")
    experiment = Experiment(
        name="Collapse of a transformer on MNIST",
        grid=Grid(weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001), seed=(42, 43, 44, 45, 46)),
        steps=ARGUMENTS[arg],
        model=Model("transformer"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head")),
        thresholds=Thresholds(test_accuracy=0.85, rnc1=0.03),
    )
    if arg == "cpu":
        experiment.grid = Grid(weight_decay=(0.3, 0.1, 0.01), seed=(42,))
        experiment.task.test_size = 1000
        experiment.log = Schedule(rule="geometric", points=30)
        experiment.snapshots.schedule.points = 10
    if arg == "smoke":
        experiment.grid = Grid(weight_decay=(0.3, 0.03), seed=(42,))
        experiment.task = Task(train_size=200, test_size=100)
        experiment.batch_size = 50
        experiment.log = Schedule(rule="geometric", points=5)
        experiment.snapshots = Snapshots(Schedule(rule="geometric", points=2), ("train", "test", "head"), 100)
    return experiment
