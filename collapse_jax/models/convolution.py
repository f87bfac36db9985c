"""Convolution of images, in a form that XLA compiles well on CPU too, derivatives and tiles of runs included."""

import functools
from collections.abc import Sequence
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

NUMBERS = ("NHWC", "HWIO", "NHWC")
FEW = 8  # channels of the images, so few that one matrix of all windows is faster than the convolution

Pads = tuple[tuple[int, int], tuple[int, int]]


def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolve x [N, H, W, C] with a kernel [k, k, C, F] of odd side k, padded by k // 2.

    Inside a loop XLA on CPU computes convolutions by a slow path unless their layout is the canonical one, which
    those that it derives do not have (jax issue 12868): with them a training step of the CNN on MNIST takes 24
    times as long (jax 0.10.2). Which form is taken is chosen where a program is lowered, so that one compiled ahead
    of time for a TPU is the one that a TPU runs.
    """
    on_cpu = functools.partial(canonical, stride=stride)
    elsewhere = functools.partial(convolution, stride=stride)
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=elsewhere)


def convolution(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolve as XLA does; arguments as those of `convolve`."""
    half = kernel.shape[0] // 2
    return _plain(x, kernel, stride=stride, pads=((half, half), (half, half)))


def canonical(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolve by matrix products and canonical convolutions alone, derivatives too; arguments as of `convolve`."""
    half = kernel.shape[0] // 2
    if kernel.shape[0] == 1:
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    if kernel.shape[2] < FEW:
        x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
        sides = tuple((side - kernel.shape[0]) // stride + 1 for side in x.shape[1:3])
        return jnp.concatenate(_met(x, kernel.shape[:2], sides, stride), -1) @ kernel.reshape(-1, kernel.shape[-1])
    return _correlate(x, kernel, stride, ((half, half), (half, half)))


def _met(x: jax.Array, size: Sequence[int], sides: Sequence[int], stride: int) -> list[jax.Array]:
    """Return for each tap of a kernel the pixels [N, H', W', C] that it meets in the padded x."""
    rows, columns = (stride * (side - 1) + 1 for side in sides)
    return [x[:, i : i + rows : stride, j : j + columns : stride] for i, j in product(*map(range, size))]


# One bilinear primitive: derivatives of any order, forward and reverse, are made of it again.
correlate_p = Primitive("correlate")


def _correlate(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    return correlate_p.bind(x, kernel, stride=stride, pads=pads)


def _plain(x: jax.Array, kernel: jax.Array, *, stride: int, pads: Pads) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=NUMBERS)


def _shape(x: Any, kernel: Any, **how: Any) -> jax.core.ShapedArray:
    out = jax.eval_shape(functools.partial(_plain, **how), x, kernel)
    return jax.core.ShapedArray(out.shape, out.dtype)


def _input_gradient(dy: jax.Array, x: Any, kernel: jax.Array, *, stride: int, pads: Pads) -> jax.Array:
    """Return dx [N, H, W, C] of dy [N, H', W', F].

    dx[s a + p] = sum_m dy[a + c - m] k[t + s m], t = (p + low) mod s, c = (p + low - t) / s: the pixels of each
    phase p are a convolution of their own with every s-th tap, so that none is with zeros between the rows of dy.
    """
    height, width = x.aval.shape[1:3]
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)

    def taps(axis: int, phase: int) -> tuple[slice, int, tuple[int, int]]:
        (low, _), size, rows = pads[axis], kernel.shape[axis], -(-x.aval.shape[1 + axis] // stride)
        first = (phase + low) % stride
        count = len(range(first, size, stride))
        start = size - 1 - (first + stride * (count - 1))  # the last tap of the phase is the first of the flipped
        before = count - 1 - (phase + low - first) // stride
        return slice(start, None, stride), count, (before, rows - dy.shape[1 + axis] + count - 1 - before)

    rows, columns = ([taps(axis, phase) for phase in range(stride)] for axis in range(2))
    empty = jnp.zeros((len(dy), -(-height // stride), -(-width // stride), kernel.shape[2]), dy.dtype)
    phases = []
    for (down, m, above), (right, n, left) in product(rows, columns):
        phases.append(_correlate(dy, flipped[down, right][:m, :n], 1, (above, left)) if m and n else empty)
    if stride == 1:
        return phases[0]
    grid = jnp.stack(phases).reshape(stride, stride, *phases[0].shape).transpose(2, 3, 0, 4, 1, 5)
    merged = grid.reshape(len(dy), stride * grid.shape[1], stride * grid.shape[3], -1)
    return merged[:, :height, :width]


def _kernel_gradient(dy: jax.Array, x: jax.Array, kernel: Any, *, stride: int, pads: Pads) -> jax.Array:
    """Return dk [k, k, C, F]: for each tap the product of the pixels that it meets with dy."""
    shape, flat = kernel.aval.shape, dy.reshape(-1, dy.shape[-1])
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])
    met = _met(x, shape[:2], dy.shape[1:3], stride)
    return jnp.stack([(flat.T @ pixels.reshape(-1, shape[2])).T for pixels in met]).reshape(shape)


def _batch(arrays: Sequence[jax.Array], axes: Sequence[int | None], **how: Any) -> tuple[jax.Array, int]:
    """Convolve several at once: by what they share, if anything; else in turn.

    XLA makes convolutions in groups of kernels that differ with their images, which have no fast path on CPU.
    """
    x, kernel = (a if axis is None else jnp.moveaxis(a, axis, 0) for a, axis in zip(arrays, axes, strict=True))
    if axes[1] is None:
        out = _correlate(x.reshape(-1, *x.shape[2:]), kernel, **how)
        return out.reshape(*x.shape[:2], *out.shape[1:]), 0
    if axes[0] is None:
        merged = jnp.moveaxis(kernel, 0, 3)
        out = _correlate(x, merged.reshape(*merged.shape[:3], -1), **how)
        return out.reshape(*out.shape[:3], *merged.shape[3:]), 3
    if len(x) == 1:
        return _correlate(x[0], kernel[0], **how)[None], 0
    return jax.lax.map(lambda pair: _correlate(*pair, **how), (x, kernel)), 0


correlate_p.def_impl(jax.jit(_plain, static_argnames=("stride", "pads")))
correlate_p.def_abstract_eval(_shape)
mlir.register_lowering(correlate_p, mlir.lower_fun(_plain, multiple_results=False))
ad.defbilinear(correlate_p, _input_gradient, _kernel_gradient)
batching.primitive_batchers[correlate_p] = _batch
