"""The numbers of a run: the traced axes of the grid, of one run or, with a leading axis, of all."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class Hyperparameters:
    """The traced axes that the grid has: `h.weight_decay`, `h.get("b2", 0.999)`, `"b2" in h`.

    Which axes there are is static, their values are traced.

    Attributes:
      values: axis -> number, float of the experiment's type; "seed" is uint32.
    """

    values: dict[str, jax.Array]

    def __getattr__(self, name: str) -> jax.Array:
        if name.startswith("__") or name not in self.values:
            raise AttributeError(f"the grid has no axis {name!r}")
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any) -> Any:
        """Return the value of an axis, `default` (static) where the grid does not have it."""
        return self.values.get(name, default)

    def changed(self, **values: jax.Array) -> "Hyperparameters":
        """Return hyperparameters with other values."""
        return Hyperparameters(self.values | values)

    def key(self, purpose: int) -> jax.Array:
        """Return the random key of one run for one purpose.

        It depends on the run's own seed only: all weight decays of a seed share initial parameters and batches
        (a paired comparison), and no other run of the grid has a say.
        """
        return jax.random.fold_in(jax.random.key(self.values["seed"]), purpose)


def stack_hyperparameters(runs: Sequence[Mapping[str, Any]]) -> Hyperparameters:
    """Stack the runs of `experiment.grid.grid_runs` into arrays [R]."""
    columns = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    return Hyperparameters(
        {name: jnp.asarray(column, jnp.uint32 if name == "seed" else float) for name, column in columns.items()}
    )
