"""Whether the choices of a `config.Model` fit the model that it names, and the data."""

import dataclasses

from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.experiment import config
from collapse_jax.models.base import INITS, ModelInfo
from collapse_jax.models.layers import ACTIVATIONS
from collapse_jax.models.mlp import NORMS
from collapse_jax.models.transformer import WIDTH

COMMON_FIELDS = ("name", "init")


def check_model(c: config.Model, info: ModelInfo, dataset: str, kind: str) -> None:
    """Make sure that the fields of a config are those of its model and allowed, and that the model takes the data.

    Args:
      c: the config.
      info: what it names.
      dataset: name of the data set, for messages.
      kind: of its inputs, "image", "vector" or "text".

    Raises:
      ConfigError: naming the field, its value and what is allowed.
    """
    message = f"takes {' or '.join(info.inputs)} data, task.dataset={dataset!r} is {kind}"
    require(kind in info.inputs, "model.name", c.name, message)
    own = ", ".join((*info.fields, "init"))
    for item in dataclasses.fields(c):
        value = getattr(c, item.name)
        ok = item.name in (*COMMON_FIELDS, *info.fields) or value == item.default
        require(ok, f"model.{item.name}", value, f"the model {c.name!r} has no such field; it has {own}")
    require(len(c.hidden) > 0, "model.hidden", c.hidden, "needs at least one hidden layer")
    require(min(c.hidden) > 0, "model.hidden", c.hidden, "widths must be >= 1")
    require_one_of("model.activation", c.activation, ACTIVATIONS)
    require_one_of("model.norm", c.norm, NORMS)
    require_one_of("model.init", c.init, INITS)
    for name in ("width", "depth"):
        require(getattr(c, name) >= 0, f"model.{name}", getattr(c, name), "must be >= 0 (0 means the model's own)")
    for name in ("heads", "patch_size"):
        require(getattr(c, name) >= 1, f"model.{name}", getattr(c, name), "must be >= 1")
    if "heads" in info.fields:
        width = c.width or WIDTH
        require(width % c.heads == 0, "model.heads", c.heads, f"must divide the width, {width}")


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
