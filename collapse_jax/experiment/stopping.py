"""When runs are done before the last step: a section of the experiment. Does not import jax."""

import dataclasses


@dataclasses.dataclass
class Stop:
    """When a run is done: it retires, and the others go on. None stands for a field that is not given.

    A run retires at the first log step t >= at_least at which every one of the events has happened to it and
    t >= factor * tau for each of their times (`timescales`, with the experiment's thresholds); and in any case at
    the last log step that is not after at_most. A run that diverges retires when that is noticed. One to which an
    event does not happen goes on to the last step.

    Attributes:
      events: names of `analysis.EVENTS`, such as ("fit", "grok"), whose variables are measured in-line; None: all
        runs go on to the last step.
      factor: at least 1; None: 1.
      at_least: a step; None: 0.
      at_most: a step; None: `Experiment.steps`.
    """

    events: tuple[str, ...] | None = None
    factor: float | None = None
    at_least: int | None = None
    at_most: int | None = None

    def scaled(self, ratio: float) -> "Stop":
        """Return the rule of an experiment of `ratio` times the steps."""
        at_least, at_most = (None if at is None else int(at * ratio) for at in (self.at_least, self.at_most))
        return dataclasses.replace(self, at_least=at_least, at_most=at_most)
