"""Sweeps with stop rules: of some of their runs the events come soon, of some late, of some never."""

from conftest import tiny_experiment

from collapse_jax.experiment.config import Grid, Packing, Schedule, Snapshots, Thresholds
from collapse_jax.experiment.stopping import Stop

STEPS, EVERY = 120, 10
AT = tuple(range(0, STEPS, EVERY))
RULE = Stop(events=("fit",), factor=1.2)
STORED = Snapshots(Schedule("explicit", at=AT), ("train", "parameters"), 50)


def sweep_of(stop=None, **changes):
    """Return six runs of which two fit soon, two late and two never; logged and stored every ten steps."""
    fields = {
        "grid": Grid(weight_decay=(0.1,), learning_rate=(1e-2, 1e-3, 3e-2), seed=(1, 2), init_scale=(1.0,)),
        "steps": STEPS,
        "log": Schedule("explicit", at=AT),
        "snapshots": STORED,
        "thresholds": Thresholds(train_accuracy=0.5, test_accuracy=0.5),
        "packing": Packing(devices=2, runs_per_tile=1),
        "checkpoint_seconds": 1e6,
        "chunk_seconds": 1e9,
        "stop": stop or Stop(),
    }
    return tiny_experiment(**fields | changes)
