"""What the curves of a sweep say: events and their times, and how these depend on hyperparameters."""

from collapse_jax.analysis.events import EVENTS, Event, thresholds_of
from collapse_jax.analysis.slopes import slopes
from collapse_jax.analysis.timescales import scaled_time, timescales
from collapse_jax.experiment.config import Thresholds

__all__ = ["EVENTS", "Event", "Thresholds", "scaled_time", "slopes", "thresholds_of", "timescales"]
