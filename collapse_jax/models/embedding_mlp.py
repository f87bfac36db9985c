"""The perceptron of embedded tokens in the code of arXiv:2412.09810, begun as flax's layers are."""

import jax
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.layers import ACTIVATIONS


class EmbeddingMLP(nn.Module):
    """Embedded tokens side by side, and a multilayer perceptron.

    Attributes:
      num_classes: K.
      vocabulary_size: V.
      width: of the embedding of a token.
      hidden: widths of the hidden layers.
      activation: name in `ACTIVATIONS`.
      last_layer_act: whether the last hidden layer has the activation too.
    """

    num_classes: int
    vocabulary_size: int
    width: int = choices.EmbeddingMLP.width
    hidden: tuple[int, ...] = choices.EmbeddingMLP.hidden
    activation: str = choices.EmbeddingMLP.activation
    last_layer_act: bool = choices.EmbeddingMLP.last_layer_act

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map tokens [N, T] to logits [N, K] and the outputs of the hidden layers, each [N, D_l]."""
        h = nn.Embed(self.vocabulary_size, self.width, name="tokens")(x).reshape(len(x), -1)
        layers = []
        for i, width in enumerate(self.hidden):
            h = nn.Dense(width, name=f"hidden_{i}")(h)
            if self.last_layer_act or i < len(self.hidden) - 1:
                h = ACTIVATIONS[self.activation](h)
            layers.append(h)
        return nn.Dense(self.num_classes, name="head")(h), tuple(layers)


def _make(options: choices.EmbeddingMLP, num_classes: int, vocabulary_size: int) -> nn.Module:
    return EmbeddingMLP(num_classes, vocabulary_size, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("tokens",),
    options=choices.EmbeddingMLP,
    linear=r"hidden_\d+|head",
    init="linear",
    blocks=r"hidden_[1-9]\d*",
)
