"""The cases of `cases.json`: arrays, and what a measure must say of them."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

FILE = pathlib.Path(__file__).with_name("cases.json")


@dataclasses.dataclass(frozen=True)
class Right:
    """What a variable must be, to within `atol + rtol |value|`.

    Attributes:
      value: computed in float64; an array where the variable has axes.
      rtol: relative tolerance, that of float32 arithmetic.
      atol: absolute tolerance.
    """

    value: np.ndarray
    rtol: float
    atol: float

    def admits(self, seen: Any) -> bool:
        """Whether a value of the right shape is close enough; nan is right only where nan is."""
        array = np.asarray(seen, dtype=np.float64)
        return array.shape == self.value.shape and not self.wrong(array).any()

    def wrong(self, seen: np.ndarray) -> np.ndarray:
        """Which entries of an array of the right shape are too far away."""
        return ~np.isclose(seen, self.value, rtol=self.rtol, atol=self.atol, equal_nan=True)


@dataclasses.dataclass(frozen=True)
class Case:
    """One measure on one set of arrays.

    Attributes:
      name: "<measure>/<word>".
      measure: name of the family.
      about: one sentence, what it is.
      arrays: by the names of the arguments of `measure_arrays`; the i-th of a list is "train_layers/<i>".
        Parameters of a network of dense layers with ReLU between them are "parameters/<layer>/kernel" [in, out] and
        "parameters/<layer>/bias", layers being hidden_0, hidden_1, ..., head; "initial/..." are those of theta_0,
        "mask/..." is 0 for a pruned weight. float32 holds all numbers exactly.
      options: of the measure; `loss` is a name of `LOSSES`.
      right: the right values, by variable.
    """

    name: str
    measure: str
    about: str
    arrays: Mapping[str, np.ndarray]
    options: Mapping[str, Any]
    right: Mapping[str, Right]


@functools.cache
def cases() -> tuple[Case, ...]:
    """All cases, in the order of the file."""
    held = json.loads(FILE.read_text())
    inputs = {name: {n: np.array(a) for n, a in arrays.items()} for name, arrays in held["inputs"].items()}
    return tuple(
        Case(
            entry["name"],
            entry["measure"],
            entry["about"],
            inputs[entry["inputs"]],
            entry["options"],
            {n: Right(np.array(v["right"], float), v["rtol"], v["atol"]) for n, v in entry["values"].items()},
        )
        for entry in held["cases"]
    )
