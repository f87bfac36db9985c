"""What the curves of a sweep say: time scales, their dependence on hyperparameters."""

from collapse_jax.analysis.slopes import slopes
from collapse_jax.analysis.timescales import scaled_time, timescales
from collapse_jax.experiment.config import Thresholds

__all__ = ["Thresholds", "scaled_time", "slopes", "timescales"]
