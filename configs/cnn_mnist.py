"""A convolutional network on MNIST (Figures 7 and 8 of arXiv 2509.20829): collapse without grokking.

    python -m collapse_jax train --config=configs/cnn_mnist.py:cpu --workdir=runs/cnn_mnist
    python -m collapse_jax train --config=configs/cnn_mnist.py --workdir=runs/cnn_mnist_full

Two 3 x 3 convolutions, max pooling, dense 128, dense 10 (809,034 parameters); initial weights and biases of the two
dense layers times 8; squared error summed over batch and classes, AdamW at 1e-3, batch 100, the first 1000 MNIST
images; 6 weight decays x 5 seeds.

What the paper says of its Figure 7: no grokking, test accuracy rises with training accuracy; at weight decay 0.1
RNC1 keeps falling after the training set is fitted, and test accuracy improves with it. It does not give training
size, number of steps and scale of this figure: those of its MLP are taken, and the scaling of the dense layers
alone, which is the default of its code (`--config.model.init=zero_last_layer` is the code's other rule).
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (3 weight decays, one seed, 1500 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse of a CNN on MNIST",
        grid=Grid(weight_decay=(0.3, 0.1, 0.03, 0.01, 0.003, 0.001), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        model=Model("cnn"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head")),
        thresholds=Thresholds(test_accuracy=0.9, rnc1=0.03),
    )
    if arg == "cpu":
        return reduced(experiment, steps=1500, test_examples=1000, weight_decay=(0.3, 0.1, 0.01), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
