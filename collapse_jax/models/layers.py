"""Layers that begin and act as PyTorch's do, and the activations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.models.convolution import convolve


def smooth_leaky_relu(x: jax.Array, leak: float = 0.1) -> jax.Array:
    """Return leak * x + (1 - leak) * (softplus(x) - log 2).

    Its slope lies in (leak, 1), |s(x)| <= |x| and s' is Lipschitz: Assumption B.4 of arXiv 2509.20829, which the
    ReLU does not meet.
    """
    return leak * x + (1 - leak) * (jax.nn.softplus(x) - jnp.log(2.0))


def gelu(x: jax.Array) -> jax.Array:
    """Return x Phi(x) with the exact normal distribution function Phi, as `torch.nn.GELU` does."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """Return the approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) of `gelu`, flax's default."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "smooth_leaky_relu": smooth_leaky_relu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
}


def uniform(bound: float) -> nn.initializers.Initializer:
    """Return an initializer uniform in +-bound."""

    def initializer(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initializer


def torch_linear(features: int, fan_in: int, name: str, use_bias: bool = True) -> nn.Dense:
    """Return a dense layer with kernel and bias uniform in +-1/sqrt(fan_in), as `torch.nn.Linear` begins."""
    begin = uniform(fan_in**-0.5)
    return nn.Dense(features, use_bias, kernel_init=begin, bias_init=begin, name=name)


class LengthFree(nn.Module):
    """A dense layer of its input divided by the root of its mean square, begun as `torch_linear`.

    The division is inside: schemes take what a layer is given for the output of the block before it.

    Attributes:
      features: outputs.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x [N, D] to [N, features]."""
        begin = uniform(x.shape[-1] ** -0.5)
        kernel = self.param("kernel", begin, (x.shape[-1], self.features))
        bias = self.param("bias", begin, (self.features,))
        length = jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-8)
        return (x / length) @ kernel + bias.reshape(1, -1)


class Conv(nn.Module):
    """`torch.nn.Conv2d` on images [N, H, W, C], padded by size // 2; begins uniform in +-1/sqrt(size^2 C).

    Attributes:
      features: channels of the output.
      size: side of the kernel [size, size, C, features].
      stride: of the kernel.
      use_bias: whether there is a bias.
    """

    features: int
    size: int = 3
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x [N, H, W, C] to [N, ceil(H / stride), ceil(W / stride), features]."""
        begin = uniform((self.size**2 * x.shape[-1]) ** -0.5)
        kernel = self.param("kernel", begin, (self.size, self.size, x.shape[-1], self.features))
        y = convolve(x, kernel, self.stride)
        if self.use_bias:
            y = y + self.param("bias", begin, (self.features,)).reshape(1, 1, 1, -1)
        return y


def max_pool(x: jax.Array) -> jax.Array:
    """Return the maximum of each 2 x 2 window of x [N, H, W, C]; what fills no window is cut off.

    Of equal values the first in reading order gets the gradient, as in PyTorch.
    """
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    first, *others = (x[:, i::2, j::2] for i in range(2) for j in range(2))
    for other in others:
        first = jnp.where(first >= other, first, other)
    return first


DROPOUT = "dropout"


def dropout(module: nn.Module, x: jax.Array, rate: float) -> jax.Array:
    """Set each entry of x to zero with probability `rate` and divide the others by 1 - rate, in training.

    That is where a step hands the network a key of this name; wherever else it is applied x stays as it is.
    """
    return nn.Dropout(rate, deterministic=not module.has_rng(DROPOUT))(x)


def layer_norm(name: str) -> nn.LayerNorm:
    """Return `torch.nn.LayerNorm`: (x - mean) / sqrt(var + 1e-5) gain + bias over the last axis, var with 1/n."""
    return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, name=name)
