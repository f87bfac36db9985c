"""The marks of events: their thresholds and moments on any panel, and their names in a strip above the panels."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch

from collapse_jax.analysis.events import EVENTS, Event, events_of
from collapse_jax.experiment.config import Thresholds
from collapse_jax.figures import style


def thresholds_on(axes: Axes, variable: str, thresholds: Thresholds, width: float = 0.9) -> None:
    """Dotted lines at the thresholds of the events that are seen in the variable of a panel."""
    for event in EVENTS.values():
        level = event.level(thresholds)
        if event.variable == variable and level is not None:
            axes.axhline(level, color=style.GREY, linewidth=width, linestyle=":")


def moments_on(panels: Sequence[Axes], taus: xr.Dataset) -> None:
    """Vertical lines where the events happen to one run; none for what did not happen, or from the start.

    The log steps between which each lies are shaded.
    """
    for event in events_of(taus):
        tau = float(taus[event.tau])
        if tau > 0 and not bool(taus[event.censored]):
            for axes in panels:
                axes.axvspan(
                    max(float(taus[event.lower]), 1.0),
                    float(taus[event.upper]),
                    color=event.colour,
                    alpha=0.15,
                    linewidth=0,
                )
                axes.axvline(tau, color=event.colour, linewidth=1.1, gid=event.tau)


def name_moments(strip: Axes, panels: Sequence[Axes], taus: xr.Dataset, thresholds: Thresholds, end: float) -> None:
    """Vertical lines through all panels; their names in a strip above, one row each, so that none collide.

    Args:
      strip: the panel of the names.
      panels: those below it, the uppermost first.
      taus: times of one run.
      thresholds: of its events.
      end: last step of the axis.
    """
    moments_on(panels, taus)
    strip.set_axis_off()
    strip.set_ylim(0.3 - strip_rows(taus), 0.5)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    found = [(event, float(taus[event.tau]), not np.isfinite(taus[event.upper])) for event in events_of(taus)]
    # Top to bottom: what was not reached, what is written to the right of its mark, then to the left from the
    # latest to the earliest: so hardly any text lies across the mark of another row.
    middle = end**0.5
    found.sort(key=lambda f: (not f[2], f[1] > middle, -f[1] if f[1] > middle else f[1]))
    for row, (event, tau, censored) in enumerate(found):
        height, words = -float(row), event.condition(thresholds)
        if censored or not tau > 0:
            if not bool(taus[event.applicable]):
                words = event.why_not(thresholds)
            bound = f" within {tau:,.0f} steps" if np.isfinite(tau) and bool(taus[event.applicable]) else ""
            text = f"not {event.past}{bound} ({words})" if censored else f"{event.past} from the start ({words})"
            strip.text(end, height, text, color=event.colour, ha="right", va="center", bbox=box)
            continue
        strip.add_artist(
            ConnectionPatch(
                (tau, height),
                (tau, 1.0),
                strip.transData,
                panels[0].get_xaxis_transform(),
                color=event.colour,
                linewidth=1.1,
                zorder=1,
                in_layout=False,
            )
        )
        strip.plot(tau, height, marker=event.marker, color=event.colour, markersize=5.5, zorder=4)
        left = tau > middle
        strip.annotate(
            f"{event.past} at step {tau:,.0f} ({words}{_held(taus, event)})",
            (tau, height),
            xytext=(-8 if left else 8, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=event.colour,
            bbox=box,
        )


def _held(taus: xr.Dataset, event: Event) -> str:
    """For how much of the rest, where the event did not last."""
    held = float(taus[event.held]) if event.held in taus else 1.0
    return f"; held for {held:.0%} of the later log steps" if held < 1 else ""


def strip_rows(taus: xr.Dataset) -> int:
    """How many rows of names the strip has room for."""
    return max(3, len(events_of(taus)))
