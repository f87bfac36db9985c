"""Random changes of the images of a batch, drawn anew in each step; `AUGMENTATIONS` names them."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

MARGIN = 8  # a crop moves by at most this share of a side


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image [N, H, W, ...] from left to right with probability 1/2."""
    chosen = jax.random.bernoulli(key, 0.5, (len(images), *(1,) * (images.ndim - 1)))
    return jnp.where(chosen, images[:, :, ::-1], images)


def crop(key: jax.Array, images: jax.Array) -> jax.Array:
    """Move each image [N, H, W, ...] by up to H // 8 and W // 8 pixels; what comes in is the darkest value."""
    pads = [side // MARGIN for side in images.shape[1:3]]
    rest = [(0, 0)] * (images.ndim - 3)
    padded = jnp.pad(images - jnp.min(images), [(0, 0), *((pad, pad) for pad in pads), *rest]) + jnp.min(images)
    keys = jax.random.split(key)
    moves = [jax.random.randint(k, (len(images),), 0, 2 * pad + 1) for k, pad in zip(keys, pads, strict=True)]

    def one(image: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
        zeros = [jnp.zeros_like(down)] * (image.ndim - 2)
        return jax.lax.dynamic_slice(image, (down, right, *zeros), images.shape[1:])

    return jax.vmap(one)(padded, *moves)


AUGMENTATIONS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"flip": flip, "crop": crop}


def marked(key: jax.Array, images: jax.Array, labels: jax.Array, num_classes: int, views: int) -> jax.Array:
    """Write right and wrong labels into the first K numbers of the images of the first two views (2212.13345).

    Args:
      key: to draw the wrong ones with, uniformly.
      images: [V N, ...], V views one below the other.
      labels: [N].
      num_classes: K; the number of the label has the largest value of the images, the others the smallest.
      views: V.
    """
    wrong = (labels + jax.random.randint(key, labels.shape, 1, num_classes)) % num_classes
    flat = images.reshape(views, len(labels), -1)
    for view, written in enumerate((labels, wrong)):
        code = jnp.where(jax.nn.one_hot(written, num_classes, dtype=bool), jnp.max(images), jnp.min(images))
        flat = flat.at[view, :, :num_classes].set(code)
    return flat.reshape(images.shape)


def views_of(key: jax.Array, names: Iterable[str], images: jax.Array, views: int) -> jax.Array:
    """Return `views` copies of a batch [N, ...], each changed by its own draw, one below the other."""
    copies = []
    for view in range(views):
        copy = images
        for number, name in enumerate(names):
            copy = AUGMENTATIONS[name](jax.random.fold_in(jax.random.fold_in(key, view), number), copy)
        copies.append(copy)
    return jnp.concatenate(copies)
