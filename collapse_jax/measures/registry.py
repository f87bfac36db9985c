"""The measures by name."""

from collections.abc import Callable, Iterable
from typing import Any

from collapse_jax import errors
from collapse_jax.experiment.extensions import is_extension
from collapse_jax.measures.base import Measure
from collapse_jax.measures.custom import from_function, load_measure
from collapse_jax.measures.families.balancedness import BALANCEDNESS
from collapse_jax.measures.families.collapse import COLLAPSE
from collapse_jax.measures.families.collapse_bounds import COLLAPSE_BOUNDS
from collapse_jax.measures.families.fit import FIT
from collapse_jax.measures.families.generalisation import GENERALISATION
from collapse_jax.measures.families.geometry import GEOMETRY
from collapse_jax.measures.families.layerwise import LAYERWISE
from collapse_jax.measures.families.margins import MARGINS
from collapse_jax.measures.families.mutual_information import MUTUAL_INFORMATION
from collapse_jax.measures.families.nhsic import NHSIC
from collapse_jax.measures.families.noisy_channel import NOISY_CHANNEL
from collapse_jax.measures.families.norms import NORMS
from collapse_jax.measures.families.ood import OOD
from collapse_jax.measures.families.spectrum import SPECTRUM

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        FIT,
        NORMS,
        COLLAPSE,
        GEOMETRY,
        SPECTRUM,
        MARGINS,
        LAYERWISE,
        OOD,
        NHSIC,
        MUTUAL_INFORMATION,
        NOISY_CHANNEL,
        GENERALISATION,
        COLLAPSE_BOUNDS,
        BALANCEDNESS,
    )
}


def get_measure(name: str | Callable[..., Any]) -> Measure:
    """The measure called `name`, or a user's own: "FILE.py:FUNCTION" or the function itself.

    Raises:
      ValueError: one line; for an unknown name with the closest one.
    """
    if callable(name):
        return from_function(name)
    if isinstance(name, str) and is_extension(name):
        return load_measure(name)
    if not isinstance(name, str) or name not in MEASURES:
        raise ValueError(f"measures: unknown {name!r}{closest(str(name), MEASURES)}; known: {', '.join(MEASURES)}")
    return MEASURES[name]


def closest(name: str, known: Iterable[str]) -> str:
    """' (did you mean ...?)' with the most similar of the known names, or nothing."""
    match = errors.closest(name, known)
    return f" (did you mean {match!r}?)" if match else ""
