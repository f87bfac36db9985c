"""Measures: pure functions of one run's snapshot that return named scalars."""

from collapse_jax.measures.arrays import measure_arrays
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.registry import MEASURES, get_measure

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
