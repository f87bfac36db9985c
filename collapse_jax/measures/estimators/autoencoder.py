"""A convolutional autoencoder of images, whose code stands for the input in estimates of mutual information."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from tqdm import tqdm

_CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class AutoencoderSettings:
    """How the autoencoder is built and trained; the defaults are those of arXiv:2509.20829.

    Attributes:
      dim: columns of the code.
      epochs: passes over the images.
      batch_size: images per step (the last batch of an epoch may be shorter).
      learning_rate: of Adam.
      dropout: rate before every convolution of the encoder, in training.
      latent_noise: in training a code z becomes z + latent_noise z e, e ~ N(0, 1) elementwise.
      seed: of the weights, batches, dropout and noise.
    """

    dim: int = 4
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    dropout: float = 0.1
    latent_noise: float = 0.1
    seed: int = 0


class Encoder(nn.Module):
    """Three convolutions of stride 2, then two dense layers.

    Attributes:
      dim: columns of the code.
      width: channels of the first convolution, doubled by each further one.
      dropout: rate before every convolution.
    """

    dim: int
    width: int
    dropout: float

    @nn.compact
    def __call__(self, x: jax.Array, training: bool = False) -> jax.Array:
        """Maps images [N, H, W, C] to codes [N, dim]."""
        for i in range(3):
            x = nn.Dropout(self.dropout, deterministic=not training)(x)
            uniform = _uniform(9 * x.shape[-1])
            layer = nn.Conv(
                self.width * 2**i, (3, 3), (2, 2), ((1, 1), (1, 1)), kernel_init=uniform, bias_init=uniform
            )
            x = _activation(layer(x))
        x = x.reshape(len(x), -1)
        x = _activation(_dense(128, x)(x))
        return _dense(self.dim, x)(x)


class Decoder(nn.Module):
    """Two dense layers, then three transposed convolutions that invert the sizes of the encoder.

    Attributes:
      shape: (H, W, C) of an image.
      width: as of the encoder.
    """

    shape: tuple[int, int, int]
    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Maps codes [N, dim] to images [N, H, W, C]."""
        sizes = [self.shape[:2]]
        for _ in range(3):
            height, breadth = sizes[-1]
            sizes.append((-(-height // 2), -(-breadth // 2)))
        channels = [self.width * 4, self.width * 2, self.width, self.shape[2]]
        z = _activation(_dense(128, z)(z))
        z = _activation(_dense(sizes[3][0] * sizes[3][1] * channels[0], z)(z))
        z = z.reshape(len(z), *sizes[3], channels[0])
        for i in range(3):
            # (n - 1) 2 + 1 pixels after dilation; the last row and column are there if the larger size is even.
            padding = [
                (1, 1 + large - (2 * small - 1)) for large, small in zip(sizes[2 - i], sizes[3 - i], strict=True)
            ]
            # PyTorch counts the fan-in of a transposed convolution by its output channels.
            uniform = _uniform(9 * channels[i + 1])
            layer = nn.ConvTranspose(
                channels[i + 1], (3, 3), (2, 2), padding, kernel_init=uniform, bias_init=uniform
            )
            z = layer(z)
            if i < 2:
                z = _activation(z)
        return z


def modules(shape: tuple[int, int, int], settings: AutoencoderSettings) -> tuple[Encoder, Decoder]:
    """Encoder and decoder of images of one shape; 8 channels to begin with for grey images, 16 for colour."""
    width = 8 if shape[2] == 1 else 16
    return Encoder(settings.dim, width, settings.dropout), Decoder(shape, width)


def fit(images: np.ndarray, settings: AutoencoderSettings) -> tuple[Any, np.ndarray]:
    """Trains on images [N, H, W, C] with Adam and the mean absolute error of a pixel.

    Returns:
      Parameters {"encoder": ..., "decoder": ...} and the mean training loss [epochs] of every epoch.
    """
    encoder, decoder = modules(images.shape[1:], settings)
    optimizer = optax.adam(settings.learning_rate)
    count, size = len(images), min(settings.batch_size, len(images))
    key = jax.random.key(settings.seed)
    encoder_key, decoder_key = jax.random.split(jax.random.fold_in(key, 0))
    data = jnp.asarray(images, jnp.float32)
    params = {
        "encoder": encoder.init(encoder_key, data[:1]),
        "decoder": decoder.init(decoder_key, jnp.zeros((1, settings.dim))),
    }

    def loss(params: Any, rows: jax.Array, weights: jax.Array, key: jax.Array) -> jax.Array:
        dropout_key, noise_key = jax.random.split(key)
        batch = data[rows]
        code: Any = encoder.apply(params["encoder"], batch, training=True, rngs={"dropout": dropout_key})
        code += settings.latent_noise * code * jax.random.normal(noise_key, code.shape)
        decoded: Any = decoder.apply(params["decoder"], code)
        errors = jnp.abs(decoded - batch)
        return jnp.sum(jnp.mean(errors, axis=(1, 2, 3)) * weights) / jnp.sum(weights)

    @jax.jit
    def step(params: Any, moments: Any, *batch: jax.Array) -> tuple[Any, Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(params, *batch)
        updates, moments = optimizer.update(gradient, moments)
        return optax.apply_updates(params, updates), moments, value

    moments = optimizer.init(params)
    steps = -(-count // size)
    # The last batch is filled up with images of weight 0, so that one program serves all batches.
    weights = (np.arange(steps * size) < count).astype(np.float32).reshape(steps, size)
    losses = []
    for epoch in tqdm(range(settings.epochs), desc="autoencoder of the inputs", unit="epoch", disable=None):
        order = np.random.default_rng([settings.seed, epoch]).permutation(count)
        rows = np.resize(order, (steps, size))
        keys = jax.random.split(jax.random.fold_in(key, epoch + 1), steps)
        values = []
        # A loop of the host: inside a compiled one XLA runs convolutions of a CPU on a path 6 times slower.
        for batch in zip(rows, weights, keys, strict=True):
            params, moments, value = step(params, moments, *batch)
            values.append(value)
        losses.append(np.average(jax.device_get(values), weights=weights.sum(1)))
    return jax.device_get(params), np.array(losses)


def encode(params: Any, images: np.ndarray, settings: AutoencoderSettings) -> np.ndarray:
    """Codes [N, dim] of images [N, H, W, C], without dropout and noise."""
    encoder, _ = modules(images.shape[1:], settings)
    apply = jax.jit(encoder.apply)
    return _in_chunks(lambda chunk: apply(params["encoder"], chunk), images)


def reconstruction_error(params: Any, images: np.ndarray, settings: AutoencoderSettings) -> float:
    """Mean absolute error of a pixel of images [N, H, W, C], in their units, without dropout and noise."""
    encoder, decoder = modules(images.shape[1:], settings)

    @jax.jit
    def errors(batch: jax.Array) -> jax.Array:
        decoded: Any = decoder.apply(params["decoder"], encoder.apply(params["encoder"], batch))
        return jnp.mean(jnp.abs(decoded - batch), axis=(1, 2, 3))

    return float(np.mean(_in_chunks(errors, images)))


def _in_chunks(function: Callable[[jax.Array], jax.Array], images: np.ndarray) -> np.ndarray:
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    return np.concatenate([np.asarray(function(jnp.asarray(chunk, jnp.float32))) for chunk in chunks])


def _activation(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, 0.01)


def _dense(features: int, x: jax.Array) -> nn.Dense:
    uniform = _uniform(x.shape[-1])
    return nn.Dense(features, kernel_init=uniform, bias_init=uniform)


def _uniform(fan_in: int) -> Callable[..., jax.Array]:
    """Uniform in +-1/sqrt(fan_in), as layers of PyTorch begin."""

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return draw
