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


def views_of(key: jax.Array, names: Iterable[str], images: jax.Array, views: int) -> jax.Array:
    """Return `views` copies of a batch [N, ...], each changed by its own draw, one below the other."""
    copies = []
    for view in range(views):
        copy = images
        for number, name in enumerate(names):
            copy = AUGMENTATIONS[name](jax.random.fold_in(jax.random.fold_in(key, view), number), copy)
        copies.append(copy)
    return jnp.concatenate(copies)
