"""What a model is: a linen module, which data it takes, and what its initialisation scale multiplies."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.experiment.choices import NoOptions
from collapse_jax.tasks.base import KINDS

Forward = Callable[[jax.Array], tuple[jax.Array, tuple[jax.Array, ...]]]  # inputs -> logits, layers
HEAD = "head"
SCALES = ("all", "linear", "zero_last_layer")


def is_kernel(path: tuple) -> bool:
    """Whether a leaf of a network's parameters is the kernel of a layer, dense or convolutional."""
    return getattr(path[-1], "key", None) == "kernel"


class Coordinates(Protocol):
    """Numbers in the place of a network's parameters, in which full-batch gradient descent is the same and cheaper.

    What the loss has for a gradient with respect to them is such that one step on them, of gradient descent with
    momentum and coupled decay or without, is the step on the parameters. Hashable; pure functions of one run.
    """

    def constants(self, initial: Any, inputs: jax.Array) -> Any:
        """Return what no step changes, of the initial parameters and the training inputs [N, ...]; never stored."""

    def begin(self, inputs: jax.Array) -> dict[str, jax.Array]:
        """Return the coordinates of the initial parameters."""

    def apply(self, coordinates: Any, constants: Any) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Return logits [N, K] of the training inputs, and what layers a step needs."""

    def parameters(self, coordinates: Any, constants: Any) -> dict[str, Any]:
        """Return the network's parameters."""

    def network(self, coordinates: Any, initial: Any, inputs: jax.Array) -> Forward:
        """Return the network with these parameters as a function of inputs, without making them.

        Args:
          coordinates: that were trained.
          initial: the initial parameters.
          inputs: those of the training set.
        """


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A model by name.

    Attributes:
      make: `make(options, num_classes, vocabulary_size) -> module`; the module maps inputs [N, ...] to (logits
        [N, K], layers) and calls its last layer "head" (see `collapse_jax.models`).
      inputs: kinds of data that it takes, any of "image", "vector", "text", "tokens" and "sequence".
      options: dataclass of its options and their defaults, each a field of `config.Model`.
      linear: regular expression for the names of the submodules, at any depth, that `init="linear"` scales.
      init: the rule that `init="default"` stands for.
      batch_norm: whether it has BatchNorm whatever `config.Model` says, so that no batch may hold one example.
      blocks: regular expression for the names of the submodules with which a block begins, of which the layer-wise
        schemes cut the input; it is the output of the block before. What comes before the first of them is a
        block of its own. "" where the network has no blocks to be trained alone.
      coordinates: options -> in which coordinates it is trained; None, there or here, where in its parameters.
    """

    make: Callable[[Any, int, int], nn.Module]
    inputs: tuple[str, ...]
    options: type = NoOptions
    linear: str = HEAD
    init: str = "all"
    batch_norm: bool = False
    blocks: str = ""
    coordinates: Callable[[Any], Coordinates | None] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no description; of a user's own file the line is told."""
        require(callable(self.make), "ModelInfo.make", self.make, "must be a function")
        kinds = isinstance(self.inputs, tuple) and self.inputs != () and set(self.inputs) <= set(KINDS)
        require(kinds, "ModelInfo.inputs", self.inputs, f"must be a tuple of any of {', '.join(KINDS)}")
        is_class = isinstance(self.options, type) and dataclasses.is_dataclass(self.options)
        require(is_class, "ModelInfo.options", self.options, "must be a dataclass, the class itself")
        require_one_of("ModelInfo.init", self.init, SCALES)
        for name in ("linear", "blocks"):
            _require_expression(f"ModelInfo.{name}", getattr(self, name))


def _require_expression(field: str, text: str) -> None:
    try:
        re.compile(text)
    except (re.error, TypeError) as error:
        raise ConfigError(field, text, f"must be a regular expression: {error}") from None


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
    """Return the rule called `init` for a model, its own where `init` is none of `SCALES`."""
    return InitialScale(init if init in SCALES else info.init, info.linear)
