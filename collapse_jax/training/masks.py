"""Masks with which a run begins: an .npz file of which weights are kept, for all runs or for each of them."""

import dataclasses
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import ConfigError, require
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import TRACED
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.models.base import is_kernel
from collapse_jax.system.paths import local_path
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.levels import all_kept

FIELD = "training.mask"


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """Which weights of the kernels are kept; what is not named is kept whole.

    Attributes:
      name: of the file. Its arrays are named by kernels, "hidden_0/kernel", and hold 1 or true for what is kept;
        each broadcasts to the shape of its kernel. With arrays [S] named by hyperparameters, "seed" or others,
        each has a first axis of S rows, of which a run takes the one with its own numbers.
    """

    name: str

    def arrays(self) -> dict[str, np.ndarray]:
        """Read the file.

        Raises:
          ConfigError: there is none, or it holds other things than masks.
        """
        try:
            with np.load(local_path(FIELD, self.name), allow_pickle=False) as archive:
                found = dict(archive)
        except FileNotFoundError:
            raise ConfigError(FIELD, self.name, "no such file") from None
        except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError):
            raise ConfigError(FIELD, self.name, "must be an .npz file of masks, named as kernels are") from None
        rows = {name: array for name, array in found.items() if name in TRACED}
        masks = {name: array for name, array in found.items() if name not in TRACED}
        require(bool(masks), FIELD, self.name, 'holds no mask; name one as its kernel, such as "hidden_0/kernel"')
        for name, array in masks.items():
            require(bool(np.isin(array, (0, 1)).all()), FIELD, self.name, f"{name}: must hold 0 and 1 alone")
            for axis, values in rows.items():
                fits = values.ndim == 1 and array.shape[:1] == values.shape
                require(fits, FIELD, self.name, f"{name}: its first axis must be that of {axis}")
        return found

    def of(self, h: Hyperparameters, params: Any) -> Any:
        """Return the mask of one run: a tree like its parameters.

        Raises:
          ConfigError: a mask fits no kernel of the network.
        """
        arrays = self.arrays()
        told = {name: value for name, value in h.values.items() if name in arrays}
        own_row = [jnp.asarray(arrays.pop(name), value.dtype) == value for name, value in told.items()]
        row = jnp.argmax(jnp.all(jnp.stack(own_row), axis=0)) if own_row else None

        def chosen(path: tuple, kept: jax.Array) -> jax.Array:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            if not is_kernel(path) or name not in arrays:
                return kept
            array = arrays.pop(name)
            own = jnp.asarray(array, bool)
            own = own if row is None else own[row]
            try:
                return jnp.broadcast_to(own, kept.shape)
            except ValueError:
                shapes = f"has shape {own.shape}, its kernel {kept.shape}"
                raise ConfigError(FIELD, self.name, f"{name}: {shapes}") from None

        mask = jax.tree_util.tree_map_with_path(chosen, all_kept(params))
        require(not arrays, FIELD, self.name, f"{', '.join(arrays)}: no kernel of the network")
        return mask


def check_mask(e: config.Experiment) -> None:
    """Make sure that the file of masks is one, and that every run of the grid has a row of it."""
    if not e.training.mask:
        return
    rows = {name: array for name, array in MaskFile(e.training.mask).arrays().items() if name in TRACED}
    runs = grid_runs(e.grid)
    for name in rows:
        require(name in runs[0], FIELD, e.training.mask, f"has masks by {name}, and the grid no such axis")
    known = {tuple(map(_number, row)) for row in zip(*rows.values(), strict=True)}
    for run in runs if rows else []:
        told = ", ".join(f"{name}={run[name]:g}" for name in rows)
        own = tuple(_number(run[name]) for name in rows)
        require(own in known, FIELD, e.training.mask, f"has no mask for the run {told}")


def _number(value: Any) -> float:
    """A hyperparameter as runs of float32 see it."""
    return float(np.float32(value))
