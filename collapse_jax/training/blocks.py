"""A network as a sequence of blocks: where one begins, what it hands on, whose a parameter is."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
from flax import linen as nn

from collapse_jax.errors import ConfigError
from collapse_jax.models import HEAD

Path = tuple[str, ...]


class Blocks:
    """What is seen of a network's blocks while it is applied inside `cut`.

    A block begins with each submodule whose name matches a pattern; what comes before the first of them is a block
    of its own, and the head follows the last.

    Attributes:
      outputs: of each block, as the next one or the head takes it, gradient and all.
      owners: path of a submodule -> number of its block; the head's is the number of blocks.
    """

    def __init__(self, pattern: str) -> None:
        self.outputs: list[jax.Array] = []
        self.owners: dict[Path, int] = {}
        self._pattern, self._computed = pattern, False

    def cut(self) -> AbstractContextManager[None]:
        """Return the context that cuts the gradient at the input of each block and of the head."""
        return nn.intercept_methods(self._called)

    def _called(self, call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any) -> Any:
        path, name = tuple(context.module.path), context.module.name or ""
        if context.method_name != "__call__" or not path:
            return call(*args, **kwargs)
        if path == (HEAD,) or re.fullmatch(self._pattern, name):
            if not args:
                allowed = f"must take its input as its first argument, not by name: a block begins at {name}"
                raise ConfigError("model.name", name, allowed)
            if self._computed:
                self.outputs.append(args[0])
            args = (jax.lax.stop_gradient(args[0]), *args[1:])
        self.owners.setdefault(path, len(self.outputs))
        result = call(*args, **kwargs)
        self._computed = True
        return result


def owners_of(params: Any, apply: Callable[[Any], Any], pattern: str) -> Any:
    """Return a tree like the network's parameters of the numbers of their blocks; nothing is computed.

    Args:
      params: of the network, arrays or their shapes.
      apply: params -> what the network returns.
      pattern: of the names of submodules, see `Blocks`.
    """
    seen = Blocks(pattern)
    with seen.cut():
        jax.eval_shape(apply, params)

    def owner(path: tuple, _: Any) -> int:
        names = tuple(entry.key for entry in path)
        held = (names[:length] for length in range(len(names), 0, -1))
        return next((seen.owners[name] for name in held if name in seen.owners), 0)

    return jax.tree_util.tree_map_with_path(owner, params)
