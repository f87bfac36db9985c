"""Smaller versions of an experiment, for the arguments "cpu" and "smoke" of the files in configs/."""

import dataclasses
import math
from typing import Any

from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.choices import CHOICES, MLP
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule
from collapse_jax.experiment.options import names_of

SMOKE_WIDTH = {"mlp": 16, "transformer": 16}  # of the others 4


def require_argument(arg: str, known: tuple[str, ...] = ("cpu", "smoke")) -> None:
    """Raise `ValueError` unless `arg` is one of `known` or ""."""
    if arg and arg not in known:
        raise ValueError(f"argument {arg!r}: must be {' or '.join([*known, 'nothing'])}")


def reduced(
    experiment: Experiment,
    *,
    steps: int,
    points: int = 30,
    snapshots: int = 10,
    train_examples: int = 0,
    test_examples: int = 0,
    **axes: tuple[Any, ...],
) -> Experiment:
    """Return an experiment of fewer steps, log steps, examples and runs; the network stays what it is.

    Args:
      experiment: what to reduce.
      steps: optimizer updates per run.
      points: log steps, in constant ratio.
      snapshots: snapshot steps, in constant ratio.
      train_examples: how many; 0 keeps their number.
      test_examples: how many; 0 keeps their number.
      **axes: new values of axes of the grid.
    """
    task = experiment.task
    train_size, test_size = train_examples or task.train_size, test_examples or task.test_size
    stored = dataclasses.replace(experiment.snapshots, schedule=Schedule(rule="geometric", points=snapshots))
    return dataclasses.replace(
        experiment,
        grid=Grid(**vars(experiment.grid) | axes),
        steps=steps,
        training=experiment.training.scaled(steps / experiment.steps),
        stop=experiment.stop.scaled(steps / experiment.steps),
        task=dataclasses.replace(task, train_size=train_size, test_size=test_size),
        log=Schedule(rule="geometric", points=points),
        snapshots=stored,
    )


def smoke(experiment: Experiment, *, steps: int = 20, train_size: int = 60, batch_size: int = 20) -> Experiment:
    """Return two runs of a tiny network for a few steps: whether a config works, in seconds.

    Of the grid the two ends of one axis are kept, of a static one if there is any, and in a zipped grid of all.

    Args:
      experiment: what to reduce.
      steps: optimizer updates per run.
      train_size: training examples.
      batch_size: examples per step, where the experiment has batches.
    """
    small = reduced(
        experiment,
        steps=steps,
        points=3,
        snapshots=2,
        train_examples=train_size,
        test_examples=50,
        **_ends(experiment.grid, train_size),
    )
    names = small.grid.model or (small.model.name,)
    width = max(SMOKE_WIDTH.get(name, 4) for name in names)
    width = math.ceil(width / (small.model.heads or 1)) * (small.model.heads or 1)
    widths = sorted(small.grid.width)
    small.grid.width = tuple(width * (1 + widths.index(value)) for value in small.grid.width)
    task = dataclasses.replace(small.task, max_tokens=min(small.task.max_tokens, 16))
    stored = dataclasses.replace(small.snapshots, test_size=50)
    batch = min(small.batch_size, batch_size)
    model = _narrow(small.model, names, width)
    return dataclasses.replace(small, batch_size=batch, model=model, task=task, snapshots=stored)


def _narrow(model: Model, names: tuple[str, ...], width: int) -> Model:
    """Shrink what models of the grid have; of the user's own, which may have nothing of the kind, what is given."""
    kinds = [CHOICES["model"].get(name) for name in names]
    has = {name for kind in kinds if kind for name in names_of(kind)} if all(kinds) else set()
    sizes: dict[str, Any] = {"hidden": (width,) * len(model.hidden or MLP.hidden), "width": width}
    given = {name: size for name, size in sizes.items() if name in has or getattr(model, name) is not None}
    return dataclasses.replace(model, **given)


def _ends(grid: Grid, train_size: int) -> dict[str, tuple[Any, ...]]:
    axes = {name: values for name, values in vars(grid).items() if isinstance(values, tuple)}
    several = [name for name in AXES if len(axes[name]) > 1]
    kept = several if grid.mode == "zip" else several[:1]
    ends = {name: (values[0], values[-1]) if name in kept else values[:1] for name, values in axes.items()}
    if ends["train_size"]:
        largest = max(ends["train_size"])
        ends["train_size"] = tuple(math.ceil(train_size * size / largest) for size in ends["train_size"])
    return ends
