"""The multilayer perceptron of the field, initialised as PyTorch initialises its linear layers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn


def smooth_leaky_relu(x: jax.Array, leak: float = 0.1) -> jax.Array:
    """Return leak * x + (1 - leak) * (softplus(x) - log 2).

    Its slope lies in (leak, 1), |s(x)| <= |x| and s' is Lipschitz: Assumption B.4 of arXiv 2509.20829, which the
    ReLU does not meet.
    """
    return leak * x + (1 - leak) * (jax.nn.softplus(x) - jnp.log(2.0))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "smooth_leaky_relu": smooth_leaky_relu,
    "gelu": jax.nn.gelu,
}


def torch_linear(features: int, fan_in: int, name: str) -> nn.Dense:
    """Return a dense layer with kernel and bias uniform in +-1/sqrt(fan_in), as `torch.nn.Linear` begins."""

    def uniform(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        bound = fan_in**-0.5
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(features, kernel_init=uniform, bias_init=uniform, name=name)


class MLP(nn.Module):
    """Fully connected network.

    Attributes:
      hidden: widths of the hidden layers.
      num_classes: K.
      activation: name in `ACTIVATIONS`.
      last_layer_act: whether the last hidden layer has the activation too.
    """

    hidden: tuple[int, ...]
    num_classes: int
    activation: str = "relu"
    last_layer_act: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map inputs [N, ...] to logits [N, K] and the outputs of the hidden layers, each [N, D_l]."""
        x = x.reshape(x.shape[0], -1)
        layers = []
        for i, width in enumerate(self.hidden):
            x = torch_linear(width, x.shape[-1], f"hidden_{i}")(x)
            if self.last_layer_act or i < len(self.hidden) - 1:
                x = ACTIVATIONS[self.activation](x)
            layers.append(x)
        return torch_linear(self.num_classes, x.shape[-1], "head")(x), tuple(layers)
