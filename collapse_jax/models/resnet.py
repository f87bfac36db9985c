"""Residual networks for small images: a 3 x 3 stem without pooling, BatchNorm, initialised as PyTorch does."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import ModelInfo
from collapse_jax.models.batch_norm import BatchNorm
from collapse_jax.models.images import as_images
from collapse_jax.models.layers import Conv, dropout, torch_linear

# Depth -> (blocks per stage, whether they are bottlenecks).
DEPTHS: dict[int, tuple[tuple[int, ...], bool]] = {
    18: ((2, 2, 2, 2), False),
    20: ((3, 3, 3), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
EXPANSION = 4


class Block(nn.Module):
    """Residual block: two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 (bottleneck), beside a shortcut.

    Attributes:
      width: channels inside.
      stride: of the (first) 3 x 3 convolution and of the shortcut.
      bottleneck: whether it is one; its output has 4 times `width` channels.
    """

    width: int
    stride: int
    bottleneck: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, weights: jax.Array | None) -> jax.Array:
        """Map x [N, H, W, C] to [N, H / stride, W / stride, C_out]."""
        plan: tuple[tuple[int, int, int], ...]
        if self.bottleneck:
            plan = ((self.width, 1, 1), (self.width, 3, self.stride), (EXPANSION * self.width, 1, 1))
        else:
            plan = ((self.width, 3, self.stride), (self.width, 3, 1))
        h = x
        for i, (channels, size, stride) in enumerate(plan):
            h = Conv(channels, size, stride, use_bias=False, name=f"conv_{i}")(h)
            h = BatchNorm(name=f"norm_{i}")(h, train, weights)
            if i < len(plan) - 1:
                h = jax.nn.relu(h)
        if self.stride != 1 or x.shape[-1] != h.shape[-1]:
            x = Conv(h.shape[-1], 1, self.stride, use_bias=False, name="shortcut")(x)
            x = BatchNorm(name="shortcut_norm")(x, train, weights)
        return jax.nn.relu(h + x)


class ResNet(nn.Module):
    """Stem, three or four stages of residual blocks (all but the first halve the image), mean over pixels, head.

    Parameters on colour images and 10 classes: 11,173,962 (18 layers), 21,282,122 (34), 23,520,842 (50),
    42,512,970 (101), 58,156,618 (152); 272,474 (20, of three stages, width 16).

    Attributes:
      num_classes: K.
      layers: 18, 20, 34, 50, 101 or 152.
      width: channels of the stem and inside the blocks of the first stage; each stage doubles them.
      dropout: share of the outputs of the stem that a training step sets to zero.
    """

    num_classes: int
    layers: int
    width: int = choices.ResNet.width
    dropout: float = choices.ResNet.dropout

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, weights: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map images to logits [N, K] and the outputs of stem and stages, averaged over pixels, [N, C_l] each."""
        blocks, bottleneck = DEPTHS[self.layers]
        x = as_images(x)
        x = Conv(self.width, use_bias=False, name="stem")(x)
        x = dropout(self, jax.nn.relu(BatchNorm(name="stem_norm")(x, train, weights)), self.dropout)
        pooled = [jnp.mean(x, axis=(1, 2))]
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                name = f"stage_{stage}_block_{i}"
                x = Block(self.width * 2**stage, stride, bottleneck, name=name)(x, train, weights)
            pooled.append(jnp.mean(x, axis=(1, 2)))
        return torch_linear(self.num_classes, pooled[-1].shape[-1], "head")(pooled[-1]), tuple(pooled)


def _make(
    layers: int, options: choices.ResNet | choices.ResNet20, num_classes: int, vocabulary_size: int
) -> nn.Module:
    return ResNet(num_classes, layers, **vars(options))


INFOS = {
    f"resnet{layers}": ModelInfo(
        make=functools.partial(_make, layers),
        inputs=("image",),
        options=choices.ResNet20 if layers == 20 else choices.ResNet,
        linear="head",
        init="linear",
        blocks=r"stage_\d_block_\d+",
        batch_norm=True,
    )
    for layers in DEPTHS
}
