"""The shape of images, however a data set hands them over."""

import math

import jax

from collapse_jax.errors import ConfigError

CHANNELS = (1, 3)


def as_images(x: jax.Array) -> jax.Array:
    """Return images [N, H, W, C].

    Accepts [N, H, W, C], [N, H, W] and rows [N, P] of square images, H W C flattened, where P is a square or three
    squares (no number is both).

    Raises:
      ConfigError: the rows are no square images.
    """
    if x.ndim == 4:
        return x
    if x.ndim == 3:
        return x[..., None]
    pixels = x.shape[-1]
    for channels in CHANNELS:
        side = math.isqrt(pixels // channels)
        if x.ndim == 2 and side * side * channels == pixels:
            return x.reshape(len(x), side, side, channels)
    shape = "x".join(map(str, x.shape[1:]))
    raise ConfigError("task.dataset", shape, "the model takes images: H x W x C, or rows of square ones")


def require_pooling(name: str, images: jax.Array) -> None:
    """Make sure that images [N, H, W, C] have the 2 x 2 pixels that the model `name` pools.

    Raises:
      ConfigError: they have fewer.
    """
    height, width = images.shape[1:3]
    if min(height, width) < 2:
        raise ConfigError("model.name", name, f"pools 2 x 2 pixels; the images have {height} x {width}")
