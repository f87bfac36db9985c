"""The main experiment of arXiv 2509.20829 (Figs 2 to 5).

    python -m collapse_jax train --config=configs/mnist_mlp.py --workdir=runs/mnist_mlp

MLP 784-200-200-200-10 with ReLU, initialised as PyTorch and multiplied by 8, on the first 1000 MNIST images;
squared error summed over batch and classes, AdamW at 1e-3, batch 100; 6 weight decays x 5 seeds.
"""

from collapse_jax.config import Experiment, Grid, Schedule, Snapshots, Thresholds

ARGUMENTS = {"": 100_000, "100k": 100_000, "300k": 300_000, "smoke": 200}


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "100k" (default), "300k" or "smoke" (4 runs, 200 steps)."""
    if arg not in ARGUMENTS:
        raise ValueError(f"argument {arg!r}: must be one of {', '.join(filter(None, ARGUMENTS))}")
    experiment = Experiment(
        name="Grokking of an MLP on MNIST",
        grid=Grid(weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001), seed=(42, 43, 44, 45, 46)),
        steps=ARGUMENTS[arg],
        snapshots=Snapshots(content=("train", "test", "head", "parameters"), test_size=1000),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "smoke":
        experiment.grid = Grid(weight_decay=(0.3, 0.03), seed=(42, 43))
        experiment.task.test_size = 1000
        experiment.log = Schedule(rule="geometric", points=20)
        experiment.snapshots.schedule.points = 5
    return experiment
