"""Models by name.

A model is a linen module that maps inputs [N, ...] to (logits [N, K], layers) and calls its last layer "head".
`layers` is the tuple of the outputs of its hidden layers [N, ...]; the last of them is the representation g(x)
[N, D], on which the head acts. To add a model, write its module and name it in `MODELS` and `INPUTS`.
"""

from collections.abc import Callable

from flax import linen as nn

from collapse_jax import config
from collapse_jax.models.mlp import ACTIVATIONS, MLP


def _mlp(c: config.Model, num_classes: int) -> nn.Module:
    return MLP(c.hidden, num_classes, c.activation, c.last_layer_act)


MODELS: dict[str, Callable[[config.Model, int], nn.Module]] = {"mlp": _mlp}
# Kinds of data (`tasks.TaskInfo.kind`) that each model takes.
INPUTS: dict[str, tuple[str, ...]] = {"mlp": ("image", "vector")}


def make_model(c: config.Model, num_classes: int) -> nn.Module:
    """Build the network of a validated config."""
    return MODELS[c.name](c, num_classes)


__all__ = ["ACTIVATIONS", "INPUTS", "MLP", "MODELS", "make_model"]
