"""Conv-2 of arXiv 1803.03635, the small convolutional network of lottery tickets; begins as PyTorch's layers do."""

import jax
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.images import as_images, require_pooling
from collapse_jax.models.layers import Conv, max_pool, torch_linear


class Conv2(nn.Module):
    """Two 3 x 3 convolutions of `width` channels, 2 x 2 max pooling, two dense layers of 4 `width`, the head; ReLU.

    3,317,450 parameters on 28 x 28 grey images, 4,301,642 on 32 x 32 colour images.

    Attributes:
      num_classes: K.
      width: channels of both convolutions.
    """

    num_classes: int
    width: int = choices.Conv2.width

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map images to logits [N, K] and the outputs of all hidden layers, the second one after pooling."""
        x = as_images(x)
        require_pooling("conv2", x)
        first = jax.nn.relu(Conv(self.width, name="conv_0")(x))
        layers = [first, max_pool(jax.nn.relu(Conv(self.width, name="conv_1")(first)))]
        for i in range(2):
            h = layers[-1].reshape(len(x), -1)
            layers.append(jax.nn.relu(torch_linear(4 * self.width, h.shape[-1], f"hidden_{i}")(h)))
        return torch_linear(self.num_classes, 4 * self.width, "head")(layers[-1]), tuple(layers)


def _make(options: choices.Conv2, num_classes: int, vocabulary_size: int) -> nn.Module:
    return Conv2(num_classes, **vars(options))


INFO = ModelInfo(
    make=_make,
    inputs=("image",),
    options=choices.Conv2,
    linear=r"hidden_\d|head",
    init="linear",
    blocks=r"conv_[01]|hidden_\d",
)
