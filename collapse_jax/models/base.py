"""What a model is: a linen module, which data it takes, and what its initialisation scale multiplies."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.experiment.choices import NoOptions

HEAD = "head"
INITS = ("default", "all", "linear", "zero_last_layer")


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A model by name.

    Attributes:
      make: `make(options, num_classes, vocabulary_size) -> module`; the module maps inputs [N, ...] to (logits
        [N, K], layers) and calls its last layer "head" (see `collapse_jax.models`).
      inputs: kinds of data that it takes, any of "image", "vector" and "text".
      options: dataclass of its options and their defaults, each a field of `config.Model`.
      linear: regular expression for the names of the submodules, at any depth, that `init="linear"` scales.
      init: the rule that `init="default"` stands for.
      batch_norm: whether it has BatchNorm whatever `config.Model` says, so that no batch may hold one example.
      blocks: regular expression for the names of the submodules with which a block begins, of which the scheme
        "layerwise" cuts the input; each output in `layers` belongs to the last block before it. "" where the
        network has no blocks to be trained alone.
    """

    make: Callable[[Any, int, int], nn.Module]
    inputs: tuple[str, ...]
    options: type = NoOptions
    linear: str = HEAD
    init: str = "all"
    batch_norm: bool = False
    blocks: str = ""


@dataclasses.dataclass(frozen=True)
class InitialScale:
    """Which initial parameters `init_scale` multiplies.

    Attributes:
      rule: "all" multiplies every parameter, biases and the gains of normalisation layers too; "linear" those of
        the submodules in `linear` alone; "zero_last_layer" multiplies all and then sets the head to zero.
      linear: regular expression for names of submodules, at any depth.
    """

    rule: str = "all"
    linear: str = HEAD

    def __call__(self, params: Any, scale: jax.Array) -> Any:
        """Return the initial parameters."""
        params = self.scaled(params, scale)
        if self.rule != "zero_last_layer" or HEAD not in params:
            return params
        return params | {HEAD: jax.tree.map(jnp.zeros_like, params[HEAD])}

    def scaled(self, params: Any, scale: jax.Array) -> Any:
        """Return the scaled parameters, of which none is set to zero yet."""
        if self.rule != "linear":
            return jax.tree.map(lambda leaf: leaf * scale, params)

        def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
            names = [entry.key for entry in path]
            return leaf * scale if any(re.fullmatch(self.linear, name) for name in names[:-1]) else leaf

        return jax.tree_util.tree_map_with_path(scaled, params)


def initial_scale(info: ModelInfo, init: str) -> InitialScale:
    """Return the rule called `init` for a model."""
    return InitialScale(info.init if init == "default" else init, info.linear)
