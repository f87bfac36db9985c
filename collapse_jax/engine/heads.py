"""Whether the outputs of a user's own network are what the measures take them for."""

import functools
from typing import Any

import jax
import numpy as np

from collapse_jax.errors import require
from collapse_jax.measures import Snapshot
from collapse_jax.models import HEAD
from collapse_jax.tasks import Dataset
from collapse_jax.training import Recipe, init_run, network_of
from collapse_jax.training.observe import apply_in_batches

EXAMPLES = 4


def check_shapes(name: str, observed: Snapshot) -> None:
    """Compare the shapes of logits, of the last layer and of the head.

    Raises:
      ConfigError: logits of another number of classes, or a head that cannot read the last layer.
    """
    assert observed.train.logits is not None
    shape, classes = observed.train.logits.shape, observed.num_classes
    allowed = f"returns logits [N, {', '.join(map(str, shape[1:]))}]; the task has {classes} classes"
    require(shape[1:] == (classes,), "model.name", name, allowed)
    if observed.head_kernel is not None:
        kernel, dim = observed.head_kernel.shape, observed.train.features.shape[1]
        allowed = f"its head has a kernel {kernel}; one that reads the last of its layers has ({dim}, {classes})"
        require(kernel == (dim, classes), "model.name", name, allowed)


def check_head(name: str, recipe: Recipe, hparams: Any, data: Dataset) -> None:
    """Compare the logits of a few examples with what the head makes of the last layer.

    The head gets random numbers, since some rules begin with zeros, which any layer fits.

    Raises:
      ConfigError: logits are not layers[-1] @ kernel + bias.
    """
    state = jax.jit(functools.partial(init_run, recipe))(hparams, data)
    network = network_of(recipe, state, hparams, data.of(hparams))
    head = network.get(HEAD, {})
    if "kernel" not in head:
        return
    rng = np.random.default_rng(0)
    random = {part: rng.normal(size=leaf.shape).astype(leaf.dtype) for part, leaf in head.items()}
    inputs = data.of(hparams).train_inputs[:EXAMPLES]
    apply = jax.jit(functools.partial(apply_in_batches, recipe))
    logits, layers = apply({**network, HEAD: {**head, **random}}, inputs)
    features = np.asarray(layers[-1], np.float64).reshape(len(inputs), -1)
    expected = features @ random["kernel"] + random.get("bias", 0)
    close = np.allclose(logits, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    allowed = "its logits are not layers[-1] @ kernel + bias of its head, so that measures would read another layer"
    require(close, "model.name", name, allowed)
