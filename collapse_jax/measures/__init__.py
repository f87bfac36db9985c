"""Measures: pure functions of one run's snapshot that return named scalars.

The names below are imported on first use: who labels results needs no jax.
"""

from typing import TYPE_CHECKING

from collapse_jax.system.lazy import importer

if TYPE_CHECKING:
    from collapse_jax.measures.arrays import measure_arrays
    from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot
    from collapse_jax.measures.registry import MEASURES, get_measure
    from collapse_jax.measures.variable import Variable

__all__ = [
    "MEASURES",
    "Measure",
    "Probe",
    "Scalars",
    "Snapshot",
    "Variable",
    "get_measure",
    "measure_arrays",
]

_MODULES = {
    "arrays": ("measure_arrays",),
    "base": ("Measure", "Probe", "Scalars", "Snapshot"),
    "registry": ("MEASURES", "get_measure"),
    "variable": ("Variable",),
}
__getattr__ = importer(
    __name__, {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
)
