"""The multilayer perceptron of the field, initialised as PyTorch initialises its linear layers."""

import jax
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.batch_norm import BatchNorm
from collapse_jax.models.layers import ACTIVATIONS, LengthFree, dropout, layer_norm, torch_linear

LENGTH = "length"
NORMS = ("none", "layer", "batch", LENGTH)


class MLP(nn.Module):
    """Fully connected network: linear, normalisation if any, activation, layer after layer.

    Attributes:
      hidden: widths of the hidden layers.
      num_classes: K.
      activation: name in `ACTIVATIONS`.
      last_layer_act: whether the last hidden layer has the activation too.
      norm: "none", "layer" or "batch", of every hidden layer, or "length", of its input.
      head_bias: whether the last layer has a bias.
      dropout: share of the outputs of each hidden layer that a training step sets to zero.
    """

    hidden: tuple[int, ...]
    num_classes: int
    activation: str = "relu"
    last_layer_act: bool = True
    norm: str = "none"
    head_bias: bool = True
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, weights: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map inputs [N, ...] to logits [N, K] and the outputs of the hidden layers, each [N, D_l]."""
        x = x.reshape(x.shape[0], -1)
        layers = []
        for i, width in enumerate(self.hidden):
            name = f"hidden_{i}"
            x = (
                LengthFree(width, name=name)(x)
                if self.norm == LENGTH
                else torch_linear(width, x.shape[-1], name)(x)
            )
            if self.norm == "layer":
                x = layer_norm(f"norm_{i}")(x)
            elif self.norm == "batch":
                x = BatchNorm(name=f"norm_{i}")(x, train, weights)
            if self.last_layer_act or i < len(self.hidden) - 1:
                x = ACTIVATIONS[self.activation](x)
            x = dropout(self, x, self.dropout)
            layers.append(x)
        return torch_linear(self.num_classes, x.shape[-1], "head", self.head_bias)(x), tuple(layers)


def _make(options: choices.MLP, num_classes: int, vocabulary_size: int) -> nn.Module:
    return MLP(num_classes=num_classes, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("image", "vector"),
    options=choices.MLP,
    linear=r"hidden_\d+|head",
    blocks=r"hidden_\d+",
)
