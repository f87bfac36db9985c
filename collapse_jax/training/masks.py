"""Masks with which a run begins: an .npz file of which weights are kept, for all runs or for each seed."""

import dataclasses
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import ConfigError, require
from collapse_jax.experiment import config
from collapse_jax.system.paths import local_path
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.levels import all_kept
from collapse_jax.training.trees import is_kernel

FIELD, SEED = "training.mask", "seed"


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """Which weights of the kernels are kept; what is not named is kept whole.

    Attributes:
      name: of the file. Its arrays are named by kernels, "hidden_0/kernel", and hold 1 or true for what is kept;
        each broadcasts to the shape of its kernel. With an array "seed" [S] each has a first axis of these seeds.
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
        masks = {name: array for name, array in found.items() if name != SEED}
        require(bool(masks), FIELD, self.name, 'holds no mask; name one as its kernel, such as "hidden_0/kernel"')
        for name, array in masks.items():
            require(bool(np.isin(array, (0, 1)).all()), FIELD, self.name, f"{name}: must hold 0 and 1 alone")
            fits = SEED not in found or (found[SEED].ndim == 1 and array.shape[:1] == found[SEED].shape)
            require(fits, FIELD, self.name, f"{name}: its first axis must be that of seed")
        return found

    def of(self, h: Hyperparameters, params: Any) -> Any:
        """Return the mask of one run: a tree like its parameters.

        Raises:
          ConfigError: a mask fits no kernel of the network.
        """
        arrays = self.arrays()
        seeds = arrays.pop(SEED, None)
        row = None if seeds is None else jnp.argmax(jnp.asarray(seeds, jnp.uint32) == h.seed)

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
    """Make sure that the file of masks is one, and knows the seeds of the grid."""
    if e.training.mask:
        known = MaskFile(e.training.mask).arrays().get(SEED)
        lacking = () if known is None else tuple(seed for seed in e.grid.seed if seed not in known)
        require(not lacking, FIELD, e.training.mask, f"has no masks for grid.seed={', '.join(map(str, lacking))}")
