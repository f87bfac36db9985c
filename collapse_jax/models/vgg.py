"""VGG11 for small images, with BatchNorm, initialised as PyTorch does."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.batch_norm import BatchNorm
from collapse_jax.models.images import as_images
from collapse_jax.models.layers import Conv, dropout, max_pool, torch_linear

# Channels of the convolutions in units of the width, and whether pooling follows.
CONVOLUTIONS = ((1, True), (2, True), (4, False), (4, True), (8, False), (8, True), (8, False), (8, True))
DENSE = (8, 8)


class VGG11(nn.Module):
    """Eight 3 x 3 convolutions, two dense layers, each with BatchNorm and ReLU, and the head (arXiv:1409.1556).

    2 x 2 max pooling after five of the convolutions, as long as there are 2 x 2 pixels. 9,758,474 parameters on
    32 x 32 colour images and 10 classes. As arXiv:2402.09050 has it, where dropout is 0.2.

    Attributes:
      num_classes: K.
      width: channels of the first convolution; the later ones have up to 8 times, the dense layers 8 times as many.
      dropout: share of the outputs of each layer that a training step sets to zero.
    """

    num_classes: int
    width: int = choices.VGG.width
    dropout: float = choices.VGG.dropout

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, weights: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map images to logits [N, K] and the outputs of all layers, averaged over pixels, [N, C_l] each."""
        x, layers = as_images(x), []
        for i, (channels, pooled) in enumerate(CONVOLUTIONS):
            x = Conv(channels * self.width, name=f"conv_{i}")(x)
            x = jax.nn.relu(BatchNorm(name=f"conv_norm_{i}")(x, train, weights))
            x = max_pool(x) if pooled and min(x.shape[1:3]) > 1 else x
            x = dropout(self, x, self.dropout)
            layers.append(jnp.mean(x, axis=(1, 2)))
        x = x.reshape(len(x), -1)
        for i, channels in enumerate(DENSE):
            x = torch_linear(channels * self.width, x.shape[-1], f"dense_{i}")(x)
            x = dropout(self, jax.nn.relu(BatchNorm(name=f"dense_norm_{i}")(x, train, weights)), self.dropout)
            layers.append(x)
        return torch_linear(self.num_classes, x.shape[-1], "head")(x), tuple(layers)


def _make(options: choices.VGG, num_classes: int, vocabulary_size: int) -> nn.Module:
    return VGG11(num_classes, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("image",),
    options=choices.VGG,
    linear="head",
    init="linear",
    blocks=r"(conv|dense)_\d",
    batch_norm=True,
)
