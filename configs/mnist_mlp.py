"""The main experiment of arXiv 2509.20829 (its Figures 2 and 3): grokking of an MLP, for six weight decays.

    python -m collapse_jax train --config=configs/mnist_mlp.py --workdir=runs/mnist_mlp
    python -m collapse_jax train --config=configs/mnist_mlp.py:300k --workdir=runs/mnist_mlp_300k

MLP 784-200-200-200-10 with ReLU, PyTorch's initialisation times 8, on the first 1000 MNIST images; squared error
summed over batch and classes, AdamW at 1e-3, batch 100; 6 weight decays x 5 seeds.

What to expect (100,000 steps; docs/mnist_mlp/): at weight decay 0.01 and step 16,000 the training accuracy is 0.99
to 1.00 and the test accuracy 0.14 to 0.18; at step 100,000 they are 1.00 and 0.86 to 0.89 (the paper: 1.00 and
0.15, 1.00 and 0.88). Larger weight decays grok earlier: test accuracy 0.8 after 6,800 steps at 0.3, 47,000 at
0.001. Time on 2 CPU cores: see the README. 1.2 GB of disk, nearly all of it parameters in snapshots/, from which
`measure` computes features of any examples again.
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
        snapshots=Snapshots(content=("parameters",)),
        thresholds=Thresholds(test_accuracy=0.8, rnc1=0.01),
    )
    if arg == "smoke":
        experiment.grid = Grid(weight_decay=(0.3, 0.03), seed=(42, 43))
        experiment.task.test_size = 1000
        experiment.log = Schedule(rule="geometric", points=20)
        experiment.snapshots.schedule.points = 5
    return experiment
