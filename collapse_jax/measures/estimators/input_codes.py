"""Codes of images by a trained autoencoder: fitted once per set of images, then read from the user's cache."""

import dataclasses
import hashlib
import json
import logging
import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from collapse_jax.measures.base import Snapshot
from collapse_jax.measures.estimators import autoencoder
from collapse_jax.measures.estimators.autoencoder import AutoencoderSettings
from collapse_jax.system import runtime
from collapse_jax.system.files import make_folder, replacing

# Part of the key: raise it when the network or its training changes.
_VERSION = 1
_log = logging.getLogger(__name__)


def input_codes(
    inputs: Any,
    fit_inputs: Any = None,
    settings: AutoencoderSettings | None = None,
    directory: pathlib.Path | None = None,
) -> np.ndarray:
    """Codes [N, 4] of images by a convolutional autoencoder, the X of mode "autoencoder" of `mutual_information`.

    The network, its optimizer and its loss are those of arXiv:2509.20829 (after Butakov et al. 2024): three
    convolutions of stride 2 and two dense layers each way, 10 % dropout before the convolutions, relative noise of
    10 % on the code, mean absolute error, Adam at 1e-3, batches of 256, 200 epochs. That paper trains on the full
    training set of the data (60,000 images for MNIST); here it is trained on `fit_inputs`, the images at hand. A
    code is a function of the image, so I(Z; code) <= I(Z;X) whatever it was trained on: a poor one only loses more.

    The parameters are kept in the user's cache folder under a key of the images and settings: they are trained
    once, and a damaged file is trained anew. The codes themselves depend on nothing but their arguments.

    Args:
      inputs: images [N, H, W], [N, H, W, C], [N, C, H, W] with C = 1 or 3, or [N, H*W] of square grey images;
        with both sides at least 8.
      fit_inputs: images to train on, in the same form; None: `inputs`.
      settings: see `AutoencoderSettings`; its number of epochs is what time is proportional to.
      directory: of the cache; None: the user's.

    Returns:
      [N, settings.dim] float32.

    Raises:
      ValueError: the arrays are no images, or hold nan.
    """
    images, settings = _as_images("inputs", inputs), settings or AutoencoderSettings()
    fitted = images if fit_inputs is None else _as_images("fit_inputs", fit_inputs)
    if fitted.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"fit_inputs: images {fitted.shape[1:]}; they must be as those of inputs, {images.shape[1:]}"
        )
    return autoencoder.encode(fitted_parameters(fitted, settings, directory), images, settings)


def probe_codes(
    snapshot: Snapshot, fit_inputs: Any = None, settings: AutoencoderSettings | None = None
) -> dict[str, jax.Array]:
    """Codes [N, dim] of every probe that has inputs, by its name.

    With codes="autoencoder" `mutual_information` reads them from `snapshot.prepared`. All probes share one
    autoencoder, trained in float32 on `fit_inputs`; None: on the inputs of all probes together.

    Raises:
      ValueError: no probe has inputs, or they are no images.
    """
    held = {kind: np.asarray(p.inputs) for kind, p in snapshot.probes.items() if p.inputs is not None}
    if not held:
        raise ValueError("inputs: missing; there is nothing to encode")
    if fit_inputs is None:
        fit_inputs = np.concatenate([_as_images("inputs", inputs) for inputs in held.values()])
    with runtime.floats("float32"):
        return {kind: jnp.asarray(input_codes(inputs, fit_inputs, settings)) for kind, inputs in held.items()}


def fitted_parameters(
    images: np.ndarray, settings: AutoencoderSettings, directory: pathlib.Path | None = None
) -> Any:
    """Parameters trained on images [N, H, W, C], from the cache where it has them."""
    directory = directory or runtime.cache_directory() / "autoencoders"
    path = directory / f"{_key(images, settings)}.msgpack"
    parameters = _read(path)
    if parameters is None:
        parameters, losses = autoencoder.fit(images, settings)
        if not math.isfinite(losses[-1]):
            raise ValueError(f"inputs: the autoencoder diverged on them (loss {losses[-1]}); scale them to order 1")
        _write(path, parameters)
    return parameters


def _key(images: np.ndarray, settings: AutoencoderSettings) -> str:
    text = json.dumps([_VERSION, images.shape, dataclasses.asdict(settings)], sort_keys=True)
    return hashlib.sha256(text.encode() + np.ascontiguousarray(images).tobytes()).hexdigest()[:32]


def _read(path: pathlib.Path) -> Any:
    """The parameters of a file, or None when it is not there or not what was written."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s: %s; the autoencoder is trained anew", path, error.strerror)
        return None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        _log.warning("%s: damaged; the autoencoder is trained anew", path)
        return None
    return serialization.msgpack_restore(body)


def _write(path: pathlib.Path, parameters: Any) -> None:
    body = serialization.msgpack_serialize(jax.tree.map(np.asarray, parameters))
    try:
        make_folder(path.parent)
        with replacing(path) as partial:
            partial.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    except OSError as error:
        # What was computed is still there: the next call pays for the training again.
        _log.warning("%s: %s; the autoencoder is not kept", path, error.strerror)


def _as_images(name: str, inputs: Any) -> np.ndarray:
    """The inputs as images [N, H, W, C] in float32."""
    array = np.asarray(inputs)
    side = math.isqrt(array.shape[1]) if array.ndim == 2 else 0
    if array.ndim == 2 and side**2 == array.shape[1]:
        array = array.reshape(-1, side, side)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or min(array.shape[1:3]) < 8 or not len(array):
        raise ValueError(
            f"{name}: shape {np.shape(inputs)}; an autoencoder needs images [N, H, W], [N, H, W, C] "
            "or [N, C, H, W] with 1 or 3 channels, or [N, H*W] of square grey ones, of at least 8 x 8 pixels"
        )
    array = array.astype(np.float32)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: nan or infinite pixels; an autoencoder cannot be trained on them")
    return array
