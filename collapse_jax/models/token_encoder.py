"""A one-layer transformer encoder on sequences of vectors, read off a class token (a variant in arXiv:2409.17625).

What was at hand of that variant: LayerNorm, one head without biases, a hidden layer of 2000 with GELU, skips, a
trained class token, all of it trained. Norms before attention and hidden layer, and the linear head, are chosen
here.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.layers import ACTIVATIONS, layer_norm, torch_linear, uniform


class TokenEncoder(nn.Module):
    """c -> h = c + V softmax(K q / sqrt d), z = h + W_2 act(W_1 LN(h) + b_1) + b_2, logits = head(z).

    q, K and V are linear in LN of the class token c and of all T + 1 tokens, c being the last of them.

    Attributes:
      num_classes: K.
      width: of the hidden layer.
      activation: of it, name in `ACTIVATIONS`.
    """

    num_classes: int
    width: int = choices.TokenEncoder.width
    activation: str = choices.TokenEncoder.activation

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map inputs [N, T, d + 1], without their last column, to logits and (scores [N, T + 1], z [N, d])."""
        d = x.shape[-1] - 1
        begin = uniform(d**-0.5)
        token = self.param("class_token", nn.initializers.normal(0.02), (d,))
        token = jnp.broadcast_to(token, (len(x), 1, d))
        normed = layer_norm("norm_attention")(jnp.concatenate([x[..., :-1], token], axis=1))
        query, value = (nn.Dense(d, use_bias=False, kernel_init=begin, name=name) for name in ("q", "v"))
        # (K x).q = x.(K^T q) and sum s V x = V sum s x: one product with a matrix for each example, not each token.
        asked = query(normed[:, -1]) @ Kernel(begin, name="k")(d).T
        scores = jnp.sum(normed * asked[:, None], axis=-1) / d**0.5
        pooled = value(jnp.sum(jax.nn.softmax(scores)[..., None] * normed, axis=1))
        h = token[:, 0] + pooled
        hidden = ACTIVATIONS[self.activation](torch_linear(self.width, d, "hidden")(layer_norm("norm_hidden")(h)))
        z = h + torch_linear(d, self.width, "out")(hidden)
        return torch_linear(self.num_classes, d, "head")(z), (scores, z)


class Kernel(nn.Module):
    """The matrix of a dense layer without bias, itself."""

    begin: nn.initializers.Initializer

    @nn.compact
    def __call__(self, d: int) -> jax.Array:
        """Return it, [d, d]."""
        return self.param("kernel", self.begin, (d, d))


def _make(options: choices.TokenEncoder, num_classes: int, vocabulary_size: int) -> nn.Module:
    return TokenEncoder(num_classes, **vars(options))


INFO = ModelInfo(_make, inputs=("sequence",), options=choices.TokenEncoder, linear="q|k|v|hidden|out|head")
