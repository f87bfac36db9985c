"""Cuts the steps between two boundaries into calls that take a bounded time.

Where the loop is cut changes no bit (`training.advance_run`), so the length of a call may follow the measured rate.
"""

import math

from collapse_jax import models
from collapse_jax.experiment.config import Experiment

GROWTH = 8  # a call is at most this many times as long as the longest before it
TRUSTED = 0.25  # share of the wanted time from which a call's rate is believed also when it is lower


class Chunks:
    """Lengths of calls that take about `seconds`.

    Args:
      seconds: time that one call may take; it is kept to within the change of the rate between two calls. Infinite:
        calls end at boundaries alone.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._rate = 0.0
        self._longest = 0

    def end(self, start: int, stop: int) -> int:
        """Return the step at which a call that begins at `start` ends: `stop`, or earlier."""
        if math.isinf(self.seconds):
            return stop
        wanted = min(int(self._rate * self.seconds), GROWTH * self._longest)
        return min(stop, start + max(wanted, 1))

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a call of `steps` steps. Short calls are dominated by latency and only raise the rate."""
        rate = steps / max(seconds, 1e-9)
        self._rate = rate if steps and seconds >= TRUSTED * self.seconds else max(self._rate, rate)
        self._longest = max(self._longest, steps)


def chunks_of(experiment: Experiment) -> Chunks:
    """Return the chunks of an experiment.

    Of a network that is trained in coordinates they are not cut: what each call makes once takes longer than steps.
    """
    fixed = models.coordinates_of(experiment.model) is not None
    return Chunks(math.inf if fixed else experiment.chunk_seconds)
