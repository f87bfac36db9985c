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
WIDE = 32  # results of a product on CPU, at most so many: pixels side by side times features
FEW = 4  # channels, so few that twice as many results are faster

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
    if half == 0:
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    return _correlate(x, kernel, stride, ((half, half), (half, half)))


# One bilinear primitive: derivatives of any order, forward and reverse, are made of it again.
correlate_p = Primitive("correlate")


def _correlate(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads, dilation: int = 1) -> jax.Array:
    """Return y[a] = sum_m x[stride a + dilation m - low] kernel[m]: pixels a and taps m have two dimensions."""
    return correlate_p.bind(x, kernel, stride=stride, pads=pads, dilation=dilation)


def _plain(
    x: jax.Array, kernel: jax.Array, *, stride: int, pads: Pads, dilation: int = 1, beside: int = 1
) -> jax.Array:
    strides, dilations = (stride, stride * beside), (dilation, dilation)
    return jax.lax.conv_general_dilated(x, kernel, strides, pads, None, dilations, NUMBERS)


def _shape(x: Any, kernel: Any, **how: Any) -> jax.core.ShapedArray:
    out = jax.eval_shape(functools.partial(_plain, **how), x, kernel)
    return jax.core.ShapedArray(out.shape, out.dtype)


def _side_by_side(x: jax.Array, kernel: jax.Array, *, stride: int, pads: Pads, dilation: int) -> jax.Array:
    """Compute several pixels of a row at once, where there are few features.

    A product of an image's windows with few columns leaves most of a vector register empty. b pixels side by side
    meet a window that is wider by stride (b - 1), and are b F columns of one kernel, in which each pixel's taps are
    zero where the window is not its own: more products, in less time. Their order is that of the images.
    """
    size, taps, channels, features = kernel.shape
    out = _shape(x, kernel, stride=stride, pads=pads, dilation=dilation).shape
    most = (WIDE if channels >= FEW else 2 * WIDE) // features
    beside = next((count for count in (8, 4, 2) if count <= most and out[2] % count == 0), 1)
    if beside == 1 or dilation > 1:
        return _plain(x, kernel, stride=stride, pads=pads, dilation=dilation)
    spare = stride * (beside - 1)
    places = (((0, 0), (at, spare - at), (0, 0), (0, 0)) for at in range(0, spare + 1, stride))
    merged = jnp.stack([jnp.pad(kernel, place) for place in places], 3)
    merged = merged.reshape(size, taps + spare, channels, beside * features)
    return _plain(x, merged, stride=stride, pads=pads, beside=beside).reshape(out)


def _input_gradient(
    dy: jax.Array, x: Any, kernel: jax.Array, *, stride: int, pads: Pads, dilation: int
) -> jax.Array:
    """Return dx [N, H, W, C] of dy [N, H', W', F].

    dx[s a + p] = sum_m dy[a + c - m] k[t + s m], t = (p + low) mod s, c = (p + low - t) / s: the pixels of each
    phase p are a convolution of their own with every s-th tap, so that none is with zeros between the rows of dy.
    Nothing has both a stride and a dilation: a derivative exchanges them.
    """
    height, width = x.aval.shape[1:3]
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)

    def taps(axis: int, phase: int) -> tuple[slice, int, tuple[int, int]]:
        (low, _), size, rows = pads[axis], kernel.shape[axis], -(-x.aval.shape[1 + axis] // stride)
        first = (phase + low) % stride
        count = len(range(first, size, stride))
        start = size - 1 - (first + stride * (count - 1))  # the last tap of the phase is the first of the flipped
        reach = dilation * (count - 1)
        before = reach - (phase + low - first) // stride
        return slice(start, None, stride), count, (before, rows - dy.shape[1 + axis] + reach - before)

    rows, columns = ([taps(axis, phase) for phase in range(stride)] for axis in range(2))
    empty = jnp.zeros((len(dy), -(-height // stride), -(-width // stride), kernel.shape[2]), dy.dtype)
    phases = []
    for (down, m, above), (right, n, left) in product(rows, columns):
        part = flipped[down, right][:m, :n]
        phases.append(_correlate(dy, part, 1, (above, left), dilation) if m and n else empty)
    if stride == 1:
        return phases[0]
    grid = jnp.stack(phases).reshape(stride, stride, *phases[0].shape).transpose(2, 3, 0, 4, 1, 5)
    merged = grid.reshape(len(dy), stride * grid.shape[1], stride * grid.shape[3], -1)
    return merged[:, :height, :width]


def _kernel_gradient(
    dy: jax.Array, x: jax.Array, kernel: Any, *, stride: int, pads: Pads, dilation: int
) -> jax.Array:
    """Return dk [k, k, C, F]: dk[m] = sum_a x[s a + d m - low] dy[a], with stride and dilation exchanged.

    The images become the channels, over which one product sums: faster than one product for each tap, which has as
    few results as C F.
    """

    def met(axis: int) -> tuple[int, tuple[int, int]]:
        """How many rows of x meet a tap, and the pads that they need so that k results come."""
        (low, _), size = pads[axis], x.shape[1 + axis]
        span = stride * (dy.shape[1 + axis] - 1) + 1 + dilation * (kernel.aval.shape[axis] - 1)
        return min(size, span - low), (low, max(span - low - size, 0))

    (rows, above), (columns, left) = met(0), met(1)
    images, results = x[:, :rows, :columns].transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3)
    return _correlate(images, results, dilation, (above, left), stride).transpose(1, 2, 0, 3)


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


correlate_p.def_impl(jax.jit(_side_by_side, static_argnames=("stride", "pads", "dilation")))
correlate_p.def_abstract_eval(_shape)
mlir.register_lowering(correlate_p, mlir.lower_fun(_side_by_side, multiple_results=False))
ad.defbilinear(correlate_p, _input_gradient, _kernel_gradient)
batching.primitive_batchers[correlate_p] = _batch
