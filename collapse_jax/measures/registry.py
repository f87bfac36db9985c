"""The measures by name."""

from collections.abc import Callable
from typing import Any

from collapse_jax.errors import ConfigError, unknown
from collapse_jax.experiment.extensions import is_extension
from collapse_jax.measures.base import Measure
from collapse_jax.measures.custom import from_function, load_measure
from collapse_jax.measures.families.angles import ANGLES
from collapse_jax.measures.families.attention import ATTENTION
from collapse_jax.measures.families.balancedness import BALANCEDNESS
from collapse_jax.measures.families.cka import CKA
from collapse_jax.measures.families.collapse import COLLAPSE
from collapse_jax.measures.families.collapse_bounds import COLLAPSE_BOUNDS
from collapse_jax.measures.families.complexity import COMPLEXITY
from collapse_jax.measures.families.compressed_size import COMPRESSED_SIZE
from collapse_jax.measures.families.distance import DISTANCE
from collapse_jax.measures.families.fit import FIT
from collapse_jax.measures.families.flatness import FLATNESS
from collapse_jax.measures.families.generalisation import GENERALISATION
from collapse_jax.measures.families.geometry import GEOMETRY
from collapse_jax.measures.families.heavy_tails import HEAVY_TAILS
from collapse_jax.measures.families.label_nulls import LABEL_NULLS, LAYER_LABEL_NULLS
from collapse_jax.measures.families.layer_information import LAYER_INFORMATION
from collapse_jax.measures.families.layer_probe import LAYER_PROBE
from collapse_jax.measures.families.layerwise import LAYERWISE
from collapse_jax.measures.families.learning_coefficient import LEARNING_COEFFICIENT
from collapse_jax.measures.families.margins import MARGINS
from collapse_jax.measures.families.memorisation import MEMORISATION
from collapse_jax.measures.families.mutual_information import MUTUAL_INFORMATION
from collapse_jax.measures.families.nhsic import NHSIC
from collapse_jax.measures.families.noisy_channel import NOISY_CHANNEL
from collapse_jax.measures.families.norms import NORMS
from collapse_jax.measures.families.ood import OOD
from collapse_jax.measures.families.pac_bayes import PAC_BAYES
from collapse_jax.measures.families.spectrum import SPECTRUM
from collapse_jax.measures.families.synergy import LAYER_SYNERGY, SYNERGY

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        FIT,
        NORMS,
        COLLAPSE,
        GEOMETRY,
        ANGLES,
        SPECTRUM,
        MARGINS,
        LAYERWISE,
        LAYER_PROBE,
        LABEL_NULLS,
        LAYER_LABEL_NULLS,
        CKA,
        OOD,
        NHSIC,
        MUTUAL_INFORMATION,
        NOISY_CHANNEL,
        LAYER_INFORMATION,
        GENERALISATION,
        COLLAPSE_BOUNDS,
        BALANCEDNESS,
        ATTENTION,
        MEMORISATION,
        DISTANCE,
        HEAVY_TAILS,
        LEARNING_COEFFICIENT,
        FLATNESS,
        PAC_BAYES,
        COMPRESSED_SIZE,
        COMPLEXITY,
        SYNERGY,
        LAYER_SYNERGY,
    )
}


def get_measure(name: str | Callable[..., Any]) -> Measure:
    """The measure called `name`, or a user's own: "FILE.py:FUNCTION" or the function itself.

    Raises:
      ConfigError: there is none of that name, or its file is wrong.
    """
    if callable(name):
        return from_function(name)
    if isinstance(name, str) and is_extension(name):
        return load_measure(name)
    if name not in MEASURES:
        raise ConfigError("measures", name, f"{unknown('measure', str(name), MEASURES)}, or FILE.py:FUNCTION")
    return MEASURES[name]
