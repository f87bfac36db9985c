"""What a case is."""

import dataclasses
from collections.abc import Callable
from typing import Any

from geometry import Values
from inputs import Arrays


@dataclasses.dataclass(frozen=True)
class Case:
    """What one measure must say of one set of arrays.

    Attributes:
      name: of the case, one word.
      measure: its family.
      inputs: name of the arrays.
      about: one sentence, what it is.
      right: the definition, arrays -> right values.
      options: of the measure.
      variables: those to check; None: all that `right` gives.
      rtol: relative tolerance.
      atol: absolute tolerance; None: as the variable needs it.
    """

    name: str
    measure: str
    inputs: str
    about: str
    right: Callable[[Arrays], Values]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    variables: tuple[str, ...] | None = None
    rtol: float = 1e-4
    atol: float | None = None
