"""The axes of a grid: each is declared once, here, as a field of `Grid`; all that names an axis reads it from here.

A traced axis is a hyperparameter, a number of every run that no value of it compiles anew. Each value of a static
axis is a compiled program of its own. An axis without values does not exist for a sweep: it has no hyperparameter
and no coordinate, and leaves the matter to the field of the experiment that it stands for. To add one, add a field.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from collapse_jax.errors import require
from collapse_jax.experiment.checks import ANY, COUNT, DECAY, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Check, between
from collapse_jax.experiment.choices import chosen
from collapse_jax.experiment.task_choices import without_options

MAX_DEPTH = 10_000


@dataclasses.dataclass(frozen=True)
class Axis:
    """What is known of an axis.

    Attributes:
      name: of the field of `Grid`, and of the coordinate of the results.
      label: title of figures and coordinates.
      traced: whether it is a hyperparameter; static otherwise.
      field: of the experiment that it stands for, dotted; "" where it stands for itself.
      symbol: short name in legends.
      check: of each value; what a field allows is checked where the field is.
      neutral: value at which a run is as if there were no such axis; alone, it adds no coordinate.
      dimension: whether it is a dimension of the results even with a single value.
      overrules: further fields that have no say, or not all of it, beside the axis.
      place: static axes: `(experiment, value) -> experiment` where more than `field` changes.
    """

    name: str
    label: str
    traced: bool
    field: str = ""
    symbol: str = ""
    check: Check = ANY
    neutral: Any = None
    dimension: bool = False
    overrules: tuple[str, ...] = ()
    place: Callable[[Any, Any], Any] | None = None


def _axis(label: str, default: tuple = (), **known: Any) -> Any:
    return dataclasses.field(default=default, metadata={"label": label, **known})


def traced(label: str, default: tuple = (), **known: Any) -> Any:
    """Declare a traced axis; one with a default has always values."""
    return _axis(label, default, traced=True, **known)


def static(label: str, field: str = "", **known: Any) -> Any:
    """Declare a static axis that stands for a field of the experiment."""
    return _axis(label, traced=False, field=field, **known)


def replaced(node: Any, field: str, value: Any) -> Any:
    """Replace a field that is named by its dotted path."""
    name, _, rest = field.partition(".")
    return dataclasses.replace(node, **{name: replaced(getattr(node, name), rest, value) if rest else value})


def _dataset(e: Any, value: str) -> Any:
    return replaced(e, "task", without_options(dataclasses.replace(e.task, dataset=value), (value,)))


def _model(e: Any, value: str) -> Any:
    return chosen(e, "model", value)


def _optimizer(e: Any, value: str) -> Any:
    return chosen(replaced(e, "batch_size", 0) if value == "gd" else e, "optimizer", value)


def _width(e: Any, value: int) -> Any:
    if e.model.name == "mlp":
        return replaced(e, "model.hidden", (value,) * len(e.model.hidden))
    return replaced(e, "model.width", value)


def _depth(e: Any, value: int) -> Any:
    if e.model.name == "mlp":
        return replaced(e, "model.hidden", e.model.hidden[-1:] * value)
    return replaced(e, "model.depth", value)


@dataclasses.dataclass(kw_only=True)
class Grid:
    """The values of every axis; those with several values span the grid.

    The static axes come first among the dimensions of the results and span all their combinations. The axes below
    them vary in this order, the last one fastest.

    Attributes:
      dataset: static, of `task.dataset`.
      train_size: static, of `task.train_size`.
      label_noise: static, of `task.label_noise`.
      model: static, of `model.name`.
      width: static; mlp: of every hidden layer; else of `model.width`.
      depth: static; mlp: the number of hidden layers, all of the width of the last; else of `model.depth`.
      norm: static, of `model.norm`.
      dropout: static, of `model.dropout`.
      dimension: static, of `task.dimension`, d of token selection.
      optimizer: static, of `optimizer.name`; gd takes the whole training set whatever `batch_size` is.
      loss: static, of `loss`.
      batch_size: static, of `batch_size`.
      scheme: static, of `training.scheme`.
      mask: static, of `training.mask`.
      weight_decay: lambda; decoupled for AdamW, coupled (added to the gradient) for Adam, SGD and GD.
      learning_rate: eta.
      init_scale: alpha, multiplies the initial parameters that `Model.init` names.
      b1: of Adam, AdamW and Lion, for `optimizer.b1`.
      b2: of Adam, AdamW and Lion, for `optimizer.b2`.
      momentum: of SGD, GD and Muon, for `optimizer.momentum`.
      flip_rate: share of the training labels that are wrong, drawn anew by every seed; see `Dataset.of`.
      signal_norm: of token selection, for `task.signal_norm`.
      weight_noise: delta, of the term of this name (`training.terms`).
      l1: c, of the term of this name.
      spectral_entropy: beta, of the term of this name.
      norm_cutoff: c, of the term of this name.
      grokfast: c, of the term of this name.
      norm_clamp: c, of the term of this name.
      temperature: T, of the term of this name.
      sam_radius: rho, of the term of this name: sharpness-aware minimisation, two gradients a step.
      nhsic: lambda, of the nHSIC in the losses of blocks that `training.local.nhsic` asks for.
      seed: of the initial parameters and of the order of the batches.
      mode: "product" spans all combinations; "zip" pairs the traced axes value by value (axes of one value repeat).
    """

    dataset: tuple[str, ...] = static("data set", "task.dataset", place=_dataset)
    train_size: tuple[int, ...] = static("training examples", "task.train_size")
    label_noise: tuple[float, ...] = static("share of wrong training labels", "task.label_noise")
    model: tuple[str, ...] = static("model", "model.name", place=_model)
    # After the model, on which it depends what a width and a depth are.
    width: tuple[int, ...] = static("width", "model.width", check=COUNT, overrules=("model.hidden",), place=_width)
    depth: tuple[int, ...] = static(
        "depth", "model.depth", check=between(1, MAX_DEPTH), overrules=("model.hidden",), place=_depth
    )
    norm: tuple[str, ...] = static("normalisation", "model.norm")
    dropout: tuple[float, ...] = static("dropout", "model.dropout")
    dimension: tuple[int, ...] = static("dimension d", "task.dimension", symbol="d")
    optimizer: tuple[str, ...] = static("optimizer", "optimizer.name", place=_optimizer)
    loss: tuple[str, ...] = static("loss", "loss")
    batch_size: tuple[int, ...] = static("batch size", "batch_size")
    scheme: tuple[str, ...] = static("training scheme", "training.scheme")
    mask: tuple[str, ...] = static("mask", "training.mask")
    weight_decay: tuple[float, ...] = traced(
        "weight decay λ", (0.01,), symbol="λ", check=NOT_NEGATIVE, dimension=True
    )
    learning_rate: tuple[float, ...] = traced("learning rate η", (1e-3,), symbol="η", check=POSITIVE)
    init_scale: tuple[float, ...] = traced("initialisation scale α", (8.0,), symbol="init scale", check=POSITIVE)
    b1: tuple[float, ...] = traced("decay of the first moment β₁", field="optimizer.b1", symbol="β₁", check=DECAY)
    b2: tuple[float, ...] = traced("decay of the second moment β₂", field="optimizer.b2", symbol="β₂", check=DECAY)
    momentum: tuple[float, ...] = traced("momentum μ", field="optimizer.momentum", symbol="μ", check=DECAY)
    flip_rate: tuple[float, ...] = traced("share of wrong labels", symbol="flip rate", check=SHARE, neutral=0.0)
    signal_norm: tuple[float, ...] = traced(
        "norm of the signal ‖μ‖", field="task.signal_norm", symbol="‖μ‖", check=POSITIVE
    )
    weight_noise: tuple[float, ...] = traced("noise on the weights δ", symbol="δ", check=NOT_NEGATIVE, neutral=0.0)
    l1: tuple[float, ...] = traced("L1 penalty c", symbol="L1", check=NOT_NEGATIVE, neutral=0.0)
    spectral_entropy: tuple[float, ...] = traced(
        "penalty on the spectral entropy β", symbol="spectral β", check=NOT_NEGATIVE, neutral=0.0
    )
    norm_cutoff: tuple[float, ...] = traced("norm beyond which a penalty begins c", symbol="cutoff", check=POSITIVE)
    grokfast: tuple[float, ...] = traced("Grokfast c", symbol="Grokfast", check=NOT_NEGATIVE, neutral=0.0)
    norm_clamp: tuple[float, ...] = traced("norm held, c of the initial one", symbol="norm", check=POSITIVE)
    sam_radius: tuple[float, ...] = traced("radius of SAM ρ", symbol="ρ", check=NOT_NEGATIVE, neutral=0.0)
    temperature: tuple[float, ...] = traced("temperature of the outputs T", symbol="T", check=POSITIVE, neutral=1.0)
    nhsic: tuple[float, ...] = traced("weight of nHSIC λ", symbol="λ of nHSIC")
    # The last, so that the seeds of a setting lie side by side.
    seed: tuple[int, ...] = traced("seed", (0,), check=SEED, dimension=True)
    mode: str = "product"


AXES: dict[str, Axis] = {
    field.name: Axis(name=field.name, **field.metadata) for field in dataclasses.fields(Grid) if field.metadata
}
TRACED = tuple(name for name, axis in AXES.items() if axis.traced)
STATIC = tuple(name for name, axis in AXES.items() if not axis.traced)


def traced_axes(grid: Grid) -> dict[str, tuple]:
    """Return the hyperparameters of a grid and their values."""
    return {name: getattr(grid, name) for name in TRACED if getattr(grid, name)}


def static_axes(grid: Grid) -> dict[str, tuple]:
    """Return the static axes of a grid and their values."""
    return {name: getattr(grid, name) for name in STATIC if getattr(grid, name)}


def require_say(grid: Grid, field: str, value: Any) -> None:
    """Make sure that no axis of a grid overrules a field that is given a value.

    Raises:
      ConfigError: an axis does, so that the value would have no effect; it is named.
    """
    for name, axis in AXES.items():
        values = getattr(grid, name)
        allowed = f"has no effect beside grid.{name}={values}; give the values of grid.{name} instead"
        require(not values or field not in (axis.field, *axis.overrules), field, value, allowed)


def placed(experiment: Any, name: str, value: Any) -> Any:
    """Return the experiment with one value of a static axis in the place of the field that it stands for."""
    axis = AXES[name]
    return axis.place(experiment, value) if axis.place else replaced(experiment, axis.field, value)


def symbol(name: str) -> str:
    """Return the short name of an axis for legends."""
    return AXES[name].symbol or name if name in AXES else name
