"""Examples from outside the distribution, from a file."""

import hashlib
import io
import math
import os

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.system.paths import path_of


def read_outside(path: str | os.PathLike[str], shape: tuple[int, ...]) -> tuple[jax.Array, str]:
    """Read the array `inputs` of an .npz file as examples of the given shape, float32, and name its content.

    Raises:
      ConfigError: the file is not there, holds no `inputs`, or they do not fit the network.
    """
    try:
        content = path_of("ood", path).read_bytes()
    except OSError as error:
        raise ConfigError("ood", str(path), f"cannot be read: {error.strerror or error}") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            inputs, names = arrays.get("inputs"), ", ".join(arrays)
    except Exception:  # numpy raises many kinds for a file that is no archive
        raise ConfigError("ood", str(path), "is no .npz file") from None
    if inputs is None:
        raise ConfigError("ood", str(path), f"must hold an array 'inputs'; it holds {names}")
    if inputs.dtype.kind not in "fiu" or not np.all(np.isfinite(inputs)):
        raise ConfigError("ood", str(path), "its inputs must be finite numbers")
    if inputs.ndim < 1 or len(inputs) == 0 or inputs[0].size != math.prod(shape):
        raise ConfigError(
            "ood", str(path), f"its inputs have shape {inputs.shape}; must be [M, *{shape}], as the task's"
        )
    return jnp.asarray(inputs.reshape(-1, *shape), jnp.float32), hashlib.sha256(content).hexdigest()[:16]
