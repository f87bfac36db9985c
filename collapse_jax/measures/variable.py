"""How results are labelled. Does not import jax."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Variable:
    """How a result variable is labelled.

    Attributes:
      long_name: axis title.
      units: "1" without one.
      definition: in one line.
      dims: names of the axes of the value itself, such as ("layer",); () for a scalar.
      coords: axis -> its coordinates, filled from `Measure.coords` when the variable is labelled.
    """

    long_name: str
    units: str
    definition: str
    dims: tuple[str, ...] = ()
    coords: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)

    def attrs(self) -> dict[str, str]:
        """Return the description as the attributes of a labelled array."""
        return {"long_name": self.long_name, "units": self.units, "definition": self.definition}
