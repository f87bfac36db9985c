"""Models by name.

A model is a linen module that maps inputs [N, ...] to (logits [N, K], layers). `layers` is the tuple of the
outputs of its hidden layers [N, ...]; the last of them is the representation g(x) [N, D]. A dense last layer that
acts on it is called "head"; without one, or without its bias, a network trains as well, and measures of the head
say that they need it.

A model with running statistics keeps them in the collection "batch_stats" and is called with two more arguments,
`train` and `weights` ([N] of 0 on the padding of a short batch, None where there is none); the engine carries the
collection per run. It draws random numbers in training alone, where the key DROPOUT is there (`layers.dropout`).

To add one, write a file with a `ModelInfo` and name it in `MODELS`, or, outside the package, give
`model.name="FILE.py:NAME"`; docs/extending.md has an example.
"""

from flax import linen as nn

from collapse_jax.experiment import config
from collapse_jax.experiment.extensions import find
from collapse_jax.experiment.options import options
from collapse_jax.models import (
    cnn,
    conv2,
    decoder,
    embedding_mlp,
    mlp,
    resnet,
    token_encoder,
    token_selection,
    transformer,
    vgg,
)
from collapse_jax.models.base import HEAD, SCALES, Coordinates, Forward, InitialScale, ModelInfo, initial_scale
from collapse_jax.models.batch_norm import BatchNorm
from collapse_jax.models.check import FIELDS, check_batches, check_model, has_batch_norm
from collapse_jax.models.draws import DRAWS
from collapse_jax.models.layers import ACTIVATIONS, Conv, dropout, torch_linear
from collapse_jax.models.mlp import MLP, NORMS

MODELS: dict[str, ModelInfo] = {
    "mlp": mlp.INFO,
    "cnn": cnn.INFO,
    "conv2": conv2.INFO,
    "transformer": transformer.INFO,
    "decoder": decoder.INFO,
    "embedding_mlp": embedding_mlp.INFO,
    "token_selection": token_selection.INFO,
    "token_encoder": token_encoder.INFO,
    **resnet.INFOS,
    "vgg11": vgg.INFO,
}


def find_model(name: str) -> ModelInfo:
    """Return the model called `name`, or the one that "FILE.py:NAME" defines.

    Raises:
      ConfigError: there is none.
    """
    return find("model.name", name, MODELS, ModelInfo)


def make_model(c: config.Model, num_classes: int, vocabulary_size: int = 0) -> nn.Module:
    """Build the network of a validated config; `vocabulary_size` counts the tokens of texts, padding included."""
    info = find_model(c.name)
    return info.make(options(c, info.options), num_classes, vocabulary_size)


def coordinates_of(c: config.Model) -> Coordinates | None:
    """Return in which coordinates the network of a config is trained; None: in its parameters."""
    info = find_model(c.name)
    return info.coordinates(options(c, info.options)) if info.coordinates else None


__all__ = [
    "ACTIVATIONS",
    "DRAWS",
    "FIELDS",
    "HEAD",
    "MLP",
    "MODELS",
    "NORMS",
    "SCALES",
    "BatchNorm",
    "Conv",
    "Coordinates",
    "Forward",
    "InitialScale",
    "ModelInfo",
    "check_batches",
    "check_model",
    "coordinates_of",
    "dropout",
    "find_model",
    "has_batch_norm",
    "initial_scale",
    "make_model",
    "torch_linear",
]
