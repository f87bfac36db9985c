"""What is behind the marks of a figure, kept with them for pages that show it; what is drawn does not use it."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist

KEY = "_collapse_jax_source"


@dataclasses.dataclass(frozen=True)
class Source:
    """What is behind a line.

    Attributes:
      place: of its axis, beside which it stands so that others are seen too; None where it stands at its own.
      runs: run -> its values at the points of the line, which is their mean, or the last of them; {} for no runs.
      log: whether the mean is geometric.
    """

    place: float | None = None
    runs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    log: bool = False


def keep(artist: Artist, source: Source) -> None:
    """Keep with a line what is behind it."""
    vars(artist)[KEY] = source


def source_of(artist: Artist) -> Source:
    """Return what is behind a line."""
    found: Source = vars(artist).get(KEY, Source())
    return found
