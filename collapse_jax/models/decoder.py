"""The transformer of arXiv:2412.09810 for token sequences of one length.

It begins as flax's layers do: kernels normal with variance 1 / fan-in, cut at two deviations, biases 0, embeddings
normal with variance 1 / width.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.errors import require
from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.layers import ACTIVATIONS


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d_head)) v per head, projected: tokens attend to all tokens of their sequence.

    Attributes:
      heads: number of heads; divides D.
    """

    heads: int

    @nn.compact
    def __call__(self, attending: jax.Array, x: jax.Array) -> jax.Array:
        """Map the attending tokens [N, Q, D] of the sequences x [N, T, D] to [N, Q, D]."""
        seen = {"q": attending, "k": x, "v": x}
        q, k, v = (nn.Dense(x.shape[-1], name=n)(h).reshape(*h.shape[:2], self.heads, -1) for n, h in seen.items())
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) * q.shape[-1] ** -0.5
        mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
        return nn.Dense(x.shape[-1], name="out")(mixed.reshape(attending.shape))


class Block(nn.Module):
    """Attention and a feed-forward network 4 D wide, LayerNorm after each residual sum.

    Attributes:
      heads: number of attention heads.
      activation: name in `ACTIVATIONS`.
      last: whether only the last token is returned; the others are read by its attention alone.
    """

    heads: int
    activation: str
    last: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x [N, T, D] to [N, T, D], or [N, 1, D]."""
        width, attending = x.shape[-1], x[:, -1:] if self.last else x
        x = nn.LayerNorm(name="norm1")(attending + Attention(self.heads, name="attention")(attending, x))
        hidden = ACTIVATIONS[self.activation](nn.Dense(4 * width, name="linear1")(x))
        return nn.LayerNorm(name="norm2")(x + nn.Dense(width, name="linear2")(hidden))


class Decoder(nn.Module):
    """Embedded tokens and learned positions, blocks, and the head on the last token.

    There is no causal mask, whatever the name: the last token sees all. As in the code of the paper there are V
    positions, of which a sequence of T tokens uses T. With V = K = 115 and the default sizes 242,547 parameters at
    depth 1 and 440,819 at depth 2.

    Attributes:
      num_classes: K.
      vocabulary_size: V.
      width: D, of tokens and features.
      depth: blocks.
      heads: attention heads; divides the width.
      activation: name in `ACTIVATIONS`, inside the feed-forward networks.
    """

    num_classes: int
    vocabulary_size: int
    width: int = choices.Decoder.width
    depth: int = choices.Decoder.depth
    heads: int = choices.Decoder.heads
    activation: str = choices.Decoder.activation

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map tokens [N, T] to logits [N, K] and the last token after each block, [N, D] each."""
        length, positions = x.shape[1], self.vocabulary_size
        allowed = f"has {positions} positions, as many as tokens; the sequences are {length} long"
        require(length <= positions, "model.name", "decoder", allowed)
        places = jnp.arange(length).reshape(1, -1)
        h = nn.Embed(positions, self.width, name="tokens")(x)
        h = h + nn.Embed(positions, self.width, name="positions")(places)
        layers = []
        for i in range(self.depth):
            h = Block(self.heads, self.activation, last=i == self.depth - 1, name=f"layer_{i}")(h)
            layers.append(h[:, -1])
        return nn.Dense(self.num_classes, name="head")(h[:, -1]), tuple(layers)


def _make(options: choices.Decoder, num_classes: int, vocabulary_size: int) -> nn.Module:
    return Decoder(num_classes, vocabulary_size, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("tokens",),
    options=choices.Decoder,
    linear="linear1|linear2|head",
    init="linear",
    blocks=r"layer_[1-9]\d*",  # the first is trained with the embedding
)
