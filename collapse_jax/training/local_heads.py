"""Heads of single blocks: the outputs of a block as rows, and small networks on them, begun as PyTorch's are."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

EMBEDDING = 128  # width of what a head of an embedding loss returns
MOST = 2048  # features of a head on images
LINEAR, MLP, IDENTITY = HEADS = ("linear", "mlp", "identity")


def rows_of(block: jax.Array) -> jax.Array:
    """Return the output of a block as rows [N, D].

    Images [N, H, W, C] are averaged over windows h x w, both doubled in turn until C (H // h) (W // w) <= 2048
    (code of arXiv:2402.09050), sequences [N, T, C] over the tokens.
    """
    if block.ndim == 3:
        return jnp.mean(block, axis=1)
    if block.ndim == 4:
        height, width = _window(block.shape[1:])
        tall, broad = block.shape[1] // height, block.shape[2] // width
        cut = block[:, : tall * height, : broad * width]
        block = jnp.mean(cut.reshape(-1, tall, height, broad, width, block.shape[-1]), axis=(2, 4))
    return block.reshape(len(block), -1)


def spread_of(block: jax.Array) -> jax.Array:
    """Return sqrt(var + 1e-12) over the pixels of each channel of images [N, H, W, C], [N, C]; else `rows_of`.

    The variance has 1/(HW - 1) (code of arXiv:1901.06656 and of arXiv:2402.09050); one pixel has none.
    """
    if block.ndim != 4 or block.shape[1] * block.shape[2] == 1:
        return rows_of(block)
    return jnp.sqrt(jnp.var(block, axis=(1, 2), ddof=1) + 1e-12)


def _window(shape: Sequence[int]) -> tuple[int, int]:
    sides, window = shape[:2], [1, 1]
    for axis in itertools.cycle((0, 1)):
        left = [side // w for side, w in zip(sides, window, strict=True)]
        if left[0] * left[1] * shape[2] <= MOST or left == [1, 1]:
            break
        window[axis] = min(2 * window[axis], sides[axis])
    return window[0], window[1]


def init_head(key: jax.Array, kind: str, features: int, outputs: int) -> dict[str, Any]:
    """Return the parameters of a head: "linear" D -> outputs, "mlp" D -> D -> outputs, "identity" none.

    Args:
      key: to draw them with; kernels and biases are uniform in +-1/sqrt(D).
      kind: of `HEADS`.
      features: D.
      outputs: how many.
    """
    if kind == IDENTITY:
        return {}
    if kind == LINEAR:
        return _linear(key, features, outputs)
    first, second = jax.random.split(key)
    return {"hidden": _linear(first, features, features), "out": _linear(second, features, outputs)}


def _linear(key: jax.Array, features: int, outputs: int) -> dict[str, jax.Array]:
    bound, shapes = features**-0.5, {"kernel": (features, outputs), "bias": (outputs,)}
    parts = jax.random.split(key)
    return {
        name: jax.random.uniform(part, shape, jnp.float32, -bound, bound)
        for part, (name, shape) in zip(parts, shapes.items(), strict=True)
    }


def apply_head(params: Any, rows: jax.Array) -> jax.Array:
    """Map rows [N, D] to what a head returns [N, outputs]; ReLU between the two layers of an "mlp"."""
    if not params:
        return rows
    if "out" in params:
        return _dense(params["out"], jax.nn.relu(_dense(params["hidden"], rows)))
    return _dense(params, rows)


def _dense(params: Any, rows: jax.Array) -> jax.Array:
    return rows @ params["kernel"] + params["bias"].reshape(1, -1)
