"""The transformer of arXiv 2509.20829 for images and texts, initialised as PyTorch initialises its parts."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.images import as_images
from collapse_jax.models.layers import ACTIVATIONS, layer_norm, torch_linear, uniform

POSITIONS = 513  # CLS and up to 512 tokens
PADDING = 0


class Projection(nn.Module):
    """Kernel [D, features], uniform in +-`bound`, and zero bias of a dense layer that is not applied as one.

    Attributes:
      features: outputs.
      bound: of the initial kernel.
    """

    features: int
    bound: float

    @nn.compact
    def __call__(self, size: int) -> tuple[jax.Array, jax.Array]:
        """Return both for inputs of `size`."""
        kernel = self.param("kernel", uniform(self.bound), (size, self.features))
        return kernel, self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)


class SelfAttention(nn.Module):
    """`torch.nn.MultiheadAttention` of a sequence with itself: softmax(q k^T / sqrt(d_head)) v per head, projected.

    The kernel of q, k and v is Xavier-uniform as one matrix, the kernel of the output uniform in +-1/sqrt(D), and
    the biases are 0.

    Attributes:
      heads: number of heads; divides D.
      first: whether the first token alone is returned. Then keys and values of the others need not exist:
        q (W_k x) = (W_k^T q) x and sum_t a_t (W_v x_t) = W_v (sum_t a_t x_t).
    """

    heads: int
    first: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """Map x [N, T, D] to [N, T, D], or [N, 1, D]; `mask` [N, T] says what may be attended to (None: all)."""
        size = x.shape[-1]
        # Xavier: sqrt(6 / (fan_in + fan_out)) of the stacked [D, 3 D] kernel.
        kernel, bias = Projection(3 * size, (6 / (4 * size)) ** 0.5, name="in_proj")(size)
        attend = self._attend_from_first if self.first else self._attend
        mixed = attend(x, mask, kernel, bias)
        return nn.Dense(size, kernel_init=uniform(size**-0.5), name="out_proj")(mixed)

    def _attend(self, x: jax.Array, mask: jax.Array | None, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        qkv = x @ kernel + bias[None, None]
        q, k, v = jnp.moveaxis(qkv.reshape(*x.shape[:2], 3, self.heads, -1), 2, 0)
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) * q.shape[-1] ** -0.5
        if mask is not None:
            scores = jnp.where(mask[:, None, None, :], scores, -jnp.inf)
        return jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v).reshape(x.shape)

    def _attend_from_first(
        self, x: jax.Array, mask: jax.Array | None, kernel: jax.Array, bias: jax.Array
    ) -> jax.Array:
        of_q, of_k, of_v = jnp.moveaxis(kernel.reshape(x.shape[-1], 3, self.heads, -1), 1, 0)
        b_q, b_k, b_v = bias.reshape(3, 1, self.heads, -1)
        q = (jnp.einsum("nc,chd->nhd", x[:, 0], of_q) + b_q) * b_q.shape[-1] ** -0.5
        scores = jnp.einsum("nkc,nhc->nhk", x, jnp.einsum("nhd,chd->nhc", q, of_k))
        scores = scores + (q * b_k).sum(-1, keepdims=True)  # the softmax forgets it, as it does in PyTorch
        if mask is not None:
            scores = jnp.where(mask[:, None, :], scores, -jnp.inf)
        mixed = jnp.einsum("nhk,nkc->nhc", jax.nn.softmax(scores), x)
        return (jnp.einsum("nhc,chd->nhd", mixed, of_v) + b_v).reshape(len(x), 1, -1)


class EncoderLayer(nn.Module):
    """`torch.nn.TransformerEncoderLayer` without dropout: LayerNorm after each residual sum.

    Attributes:
      heads: number of attention heads.
      feedforward: width between the two linear layers.
      activation: name in `ACTIVATIONS`.
      first: whether the first token alone is returned; the others are read by its attention alone.
    """

    heads: int
    feedforward: int
    activation: str = "relu"
    first: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Map x [N, T, D] to the outputs [N, T or 1, D] of the attention block and of the feed-forward block."""
        attending = x[:, :1] if self.first else x
        attended = layer_norm("norm1")(attending + SelfAttention(self.heads, self.first, name="attention")(x, mask))
        hidden = ACTIVATIONS[self.activation](torch_linear(self.feedforward, x.shape[-1], "linear1")(attended))
        output = torch_linear(x.shape[-1], self.feedforward, "linear2")(hidden)
        return attended, layer_norm("norm2")(attended + output)


class Transformer(nn.Module):
    """Patches of an image or tokens of a text behind a CLS token, encoder layers, and the head on CLS.

    201,738 parameters on 28 x 28 grey images and 10 classes. A text of vocabulary V and K classes has
    128 V + 198,272 + 129 K with the default sizes.

    Attributes:
      num_classes: K.
      vocabulary_size: V, padding included; 0 for images.
      width: D, of tokens and features.
      depth: encoder layers, each with its own initial parameters.
      heads: attention heads; divides the width.
      patch_size: side of the square patches of an image; what does not fill a patch at the right and bottom edges
        is cut off, as a convolution of that stride does.
      activation: name in `ACTIVATIONS`, inside the feed-forward blocks, which are 2 D wide.
    """

    num_classes: int
    vocabulary_size: int = 0
    width: int = choices.Transformer.width
    depth: int = choices.Transformer.depth
    heads: int = choices.Transformer.heads
    patch_size: int = choices.Transformer.patch_size
    activation: str = choices.Transformer.activation

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map images, or texts [N, T] of integers with 0 as padding, to logits [N, K] and layers.

        The layers are the CLS token after the attention block and after the feed-forward block of each encoder
        layer, [N, D] each; the last one is the features.
        """
        is_text = jnp.issubdtype(x.dtype, jnp.integer)
        tokens, mask = self._embed_text(x) if is_text else self._embed_image(x)
        if tokens.shape[1] >= POSITIONS:
            field, value = (
                ("task.max_tokens", tokens.shape[1]) if is_text else ("model.patch_size", self.patch_size)
            )
            allowed = f"gives {tokens.shape[1]} tokens; the transformer has positions for {POSITIONS - 1}"
            raise ConfigError(field, value, allowed)
        cls = self.param("cls", nn.initializers.normal(1.0), (1, 1, self.width), jnp.float32)
        positions = self.param("positions", nn.initializers.zeros, (1, POSITIONS, self.width))
        h = jnp.concatenate([jnp.broadcast_to(cls, (len(x), 1, self.width)), tokens], axis=1)
        h = h + positions[:, : h.shape[1]]
        layers = []
        for i in range(self.depth):
            last = i == self.depth - 1
            layer = EncoderLayer(self.heads, 2 * self.width, self.activation, first=last, name=f"layer_{i}")
            attended, h = layer(h, mask)
            layers += [attended[:, 0], h[:, 0]]
        return torch_linear(self.num_classes, self.width, "head")(h[:, 0]), tuple(layers)

    def _embed_text(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return embedded tokens [N, T, D] and the mask [N, 1 + T] of what is CLS or no padding."""

        def begin(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
            return jax.random.normal(key, shape, dtype).at[PADDING].set(0)

        embedding = self.param("embedding", begin, (self.vocabulary_size, self.width))
        mask = jnp.pad(x != PADDING, ((0, 0), (1, 0)), constant_values=True)
        return embedding[x], mask

    def _embed_image(self, x: jax.Array) -> tuple[jax.Array, None]:
        """Return patches [N, T, D], row by row, projected as by a convolution whose stride is its size."""
        x, p = as_images(x), self.patch_size
        n, height, width, channels = x.shape
        if min(height, width) < p:
            raise ConfigError("model.patch_size", p, f"must be at most the side of the {height}x{width} images")
        rows, columns = height // p, width // p
        x = x[:, : rows * p, : columns * p].reshape(n, rows, p, columns, p, channels).swapaxes(2, 3)
        patches = x.reshape(n, rows * columns, p * p * channels)
        return torch_linear(self.width, patches.shape[-1], "patches")(patches), None


def _make(options: choices.Transformer, num_classes: int, vocabulary_size: int) -> nn.Module:
    return Transformer(num_classes, vocabulary_size, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("image", "text"),
    options=choices.Transformer,
    linear="linear1|linear2|head",
    init="linear",
    blocks=r"layer_[1-9]\d*",  # the first is trained with the embedding
)
