"""The network of Theorem 4.3 of arXiv 2509.20829: two time scales, one of which depends on weight decay.

    python -m collapse_jax train --config=configs/theory_mlp.py --workdir=runs/theory_mlp
    python -m collapse_jax train --config=configs/theory_mlp.py:cpu --workdir=runs/theory_mlp    # the same

The theorem's conditions, which the main experiment does not meet: full-batch gradient descent, a smooth leaky ReLU,
a pyramid of widths that begins above the number of examples (128 > 100), two linear layers at the end, and
PyTorch's initialisation unscaled. Squared error summed over 100 MNIST images; 4 weight decays x 3 seeds. The
theorem's loss has a factor 1/2, ours has not: its eta is twice ours and its lambda half of ours, so that their
product is the same.

What to expect (docs/theory_mlp/): tau_fit is 130 steps at every weight decay, slope 0.00 [-0.11, 0.11];
tau_collapse falls from 24,000 steps at 0.05 to 2,400 at 0.5, slope -0.99 [-1.03, -0.95]; the theorem says 0 and -1.
Against eta * lambda * t the curves of RNC1 coincide until each meets a floor that rises with the weight decay
(0.003 at weight decay 1): the threshold 0.005 was chosen above the floors after seeing them, and with weight decay
1 in the grid the slope was -0.83. There is no grokking here: test accuracy (0.6 with 100 examples) rises with the
fit. 2 min 15 s on 2 CPU cores.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment, which takes minutes on two cores; `arg` is "", "cpu" (the same) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Time scales of the network of the theorem",
        grid=Grid(weight_decay=(0.5, 0.2, 0.1, 0.05), learning_rate=(5e-4,), init_scale=(1.0,), seed=(0, 1, 2)),
        steps=40_000,
        batch_size=0,
        task=Task(train_size=100, test_size=2000),
        model=Model(hidden=(128, 64, 32), activation="smooth_leaky_relu", last_layer_act=False),
        optimizer=Optimizer("gd"),
        log=Schedule(rule="geometric", points=160),
        snapshots=Snapshots(Schedule(rule="geometric", points=10), ("train", "test", "head"), 500),
        thresholds=Thresholds(test_accuracy=0.55, rnc1=5e-3),
    )
    return smoke(experiment) if arg == "smoke" else experiment
