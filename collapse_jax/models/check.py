"""Whether the choices of a `config.Model` fit the model that it names, and the data."""

from collapse_jax.errors import ConfigError, require
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import MAX_DEPTH
from collapse_jax.experiment.checks import COUNT, DECAY, LARGEST, Check, Fields, OneOf, between
from collapse_jax.experiment.choices import require_own
from collapse_jax.experiment.options import options
from collapse_jax.models import token_selection
from collapse_jax.models.base import SCALES, ModelInfo
from collapse_jax.models.draws import DRAWS
from collapse_jax.models.layers import ACTIVATIONS
from collapse_jax.models.mlp import NORMS

FIELDS: Fields = {
    "model.init": OneOf(("default", *SCALES, *DRAWS)),
    "model.activation": OneOf(ACTIVATIONS),
    "model.norm": OneOf(NORMS),
    "model.trained": OneOf(token_selection.TRAINED),
    "model.form": OneOf(token_selection.FORMS),
    "model.hidden": Check(
        f"needs at least one hidden layer, and widths must be >= 1 and <= {LARGEST}",
        lambda widths: len(widths) > 0 and all(1 <= width <= LARGEST for width in widths),
    ),
    "model.depth": between(1, MAX_DEPTH),
    "model.dropout": DECAY,
    **{f"model.{name}": COUNT for name in ("width", "heads", "patch_size")},
}


def check_model(c: config.Model, info: ModelInfo, dataset: str, kind: str) -> None:
    """Make sure that the fields of a config are those of its model, and that the model takes the data.

    Args:
      c: the config.
      info: what it names.
      dataset: name of the data set, for messages.
      kind: of its inputs, one of `tasks.base.KINDS`.

    Raises:
      ConfigError: naming the field, its value and what is allowed.
    """
    message = f"takes {' or '.join(info.inputs)} data, task.dataset={dataset!r} is {kind}"
    require(kind in info.inputs, "model.name", c.name, message)
    require_own("model", c, {c.name: info.options})
    chosen = vars(options(c, info.options))
    if {"heads", "width"} <= chosen.keys():
        heads, width = chosen["heads"], chosen["width"]
        require(width % heads == 0, "model.heads", heads, f"must divide the width, {width}")


def has_batch_norm(c: config.Model, info: ModelInfo) -> bool:
    """Whether a model says that it has BatchNorm."""
    return info.batch_norm or c.norm == "batch"


def check_batches(train_size: int, batch_size: int) -> None:
    """Make sure that BatchNorm sees at least two examples in every batch: one alone has no variance.

    Raises:
      ConfigError: a batch would hold one example.
    """
    size = batch_size or train_size
    allowed = f"BatchNorm needs 2 examples in every batch; the last of task.train_size={train_size} has 1"
    if train_size == 1 or size == 1 or train_size % size == 1:
        raise ConfigError("batch_size", batch_size, allowed)
