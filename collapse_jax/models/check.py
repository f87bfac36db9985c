"""Whether the choices of a `config.Model` fit the model that it names, and the data."""

import dataclasses
from typing import Any

from collapse_jax import config
from collapse_jax.errors import ConfigError, unknown
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
    _require(kind in info.inputs, "name", c.name, message)
    own = ", ".join((*info.fields, "init"))
    for item in dataclasses.fields(c):
        value = getattr(c, item.name)
        ok = item.name in (*COMMON_FIELDS, *info.fields) or value == item.default
        _require(ok, item.name, value, f"the model {c.name!r} has no such field; it has {own}")
    _require(len(c.hidden) > 0, "hidden", c.hidden, "needs at least one hidden layer")
    _require(min(c.hidden) > 0, "hidden", c.hidden, "widths must be >= 1")
    _require_one_of("activation", c.activation, tuple(ACTIVATIONS))
    _require_one_of("norm", c.norm, NORMS)
    _require_one_of("init", c.init, INITS)
    for name in ("width", "depth"):
        _require(getattr(c, name) >= 0, name, getattr(c, name), "must be >= 0 (0 means the model's own)")
    for name in ("heads", "patch_size"):
        _require(getattr(c, name) >= 1, name, getattr(c, name), "must be >= 1")
    if "heads" in info.fields:
        width = c.width or WIDTH
        _require(width % c.heads == 0, "heads", c.heads, f"must divide the width, {width}")


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


def _require(ok: bool, field: str, value: Any, allowed: str) -> None:
    if not ok:
        raise ConfigError(f"model.{field}", value, allowed)


def _require_one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    _require(value in known, field, value, unknown(field, value, known))
