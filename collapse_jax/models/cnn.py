"""The convolutional network of arXiv 2509.20829, initialised as PyTorch initialises it."""

import jax
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.images import as_images, require_pooling
from collapse_jax.models.layers import ACTIVATIONS, Conv, max_pool, torch_linear

WIDTH, COLOUR_WIDTH = 16, 32


class CNN(nn.Module):
    """Two 3 x 3 convolutions, 2 x 2 max pooling, a dense layer of `features` units, the head.

    809,034 parameters on 28 x 28 grey images; 2,117,962 on 32 x 32 colour images, whose convolutions have twice
    the channels.

    Attributes:
      num_classes: K.
      width: channels of the first convolution, the second has twice as many; None means 16, or 32 where the images
        are coloured.
      features: D.
      activation: name in `ACTIVATIONS`.
      last_layer_act: whether the dense layer has the activation too.
    """

    num_classes: int
    width: int | None = None
    features: int = 128
    activation: str = "relu"
    last_layer_act: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map images to logits [N, K] and the outputs of both convolutions and of the dense layer.

        They are [N, H, W, C_1], after pooling [N, H // 2, W // 2, C_2], and the features [N, D].
        """
        x = as_images(x)
        require_pooling("cnn", x)
        act = ACTIVATIONS[self.activation]
        width = self.width or (WIDTH if x.shape[-1] == 1 else COLOUR_WIDTH)
        first = act(Conv(width, name="conv_0")(x))
        second = act(Conv(2 * width, name="conv_1")(first))
        second = max_pool(second)
        flat = second.reshape(len(x), -1)
        features = torch_linear(self.features, flat.shape[-1], "hidden")(flat)
        if self.last_layer_act:
            features = act(features)
        logits = torch_linear(self.num_classes, self.features, "head")(features)
        return logits, (first, second, features)


def _make(options: choices.CNN, num_classes: int, vocabulary_size: int) -> nn.Module:
    return CNN(num_classes, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("image",),
    options=choices.CNN,
    linear="hidden|head",
    init="linear",
    blocks="conv_[01]|hidden",
)
