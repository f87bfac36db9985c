"""What attention selects over the steps, and what that makes of the losses; one panel per setting."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import carried, groups_of, points_of, take, varying
from collapse_jax.experiment.points import symbols_text
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

MAX_COLUMNS, MAX_ROWS = 4, 4
COLOURS = ("#1b6ca8", "#7fb7dd", "#d1495b", "#9a9a9a")  # of the kinds of tokens
FLOOR = "selected_loss"
CLEAN, NOISY, BOUND = "-", style.DASHED, (0, (1, 1.5))


class Line(NamedTuple):
    """A line of every panel.

    Attributes:
      variable: whose mean over the seeds, and range, it shows.
      label: in the legend.
      colour: of line and band.
      look: line style.
      kind: of token, of variables with that axis.
      band: whether the range is shown.
    """

    variable: str
    label: str
    colour: str
    look: Any = "-"
    kind: str = ""
    band: bool = True


@style.styled
def attention(results: xr.Dataset, thresholds: Thresholds | None = None) -> Figure:
    """Share of attention by kind of token over the step: right labels solid, wrong ones dashed; bands over seeds.

    One panel per setting, in rows and columns where two axes vary. `thresholds` is not used. Source: arXiv
    2409.17625, its figure of the dynamics.
    """
    _require(results, "attention_clean")
    shown = [
        Line(f"attention_{group}", f"{kind}, {'right' if group == 'clean' else 'wrong'} label", colour, look, kind)
        for group, look in (("clean", CLEAN), ("noisy", NOISY))
        for kind, colour in zip(results["token_kind"].values.tolist(), COLOURS, strict=True)
    ]
    note = (
        "Solid: train examples with the right label; dashed: with a wrong one. Irrelevant: all of them together. "
    )
    return _panels(results, shown, "Which token does attention select?", "share of attention", note)


@style.styled
def selection_losses(results: xr.Dataset, thresholds: Thresholds | None = None) -> Figure:
    """Train and test loss over the step, with what selection alone can reach; panels as in `attention`.

    Dotted: the train loss if every example attended to its relevant token alone, and if it attended to the token
    worth most to its label; the test loss of relevant tokens without noise, 0.4008. `thresholds` is not used.
    """
    _require(results, "train_loss_selected")
    from collapse_jax.measures.families.attention import selected_loss  # imports jax

    blue, red = COLOURS[0], COLOURS[2]
    shown = [
        Line("train_loss", "train", blue),
        Line("test_loss", "test", red),
        Line("train_loss_selected", "train, relevant tokens alone", blue, BOUND, band=False),
        Line("train_loss_memorised", "train, best tokens alone", style.GREY, BOUND, band=False),
        Line(FLOOR, "test, relevant tokens alone", red, BOUND, band=False),  # no variable: the same in all panels
    ]
    note = "Dotted: losses that selection of single tokens reaches, of the train set means over the seeds. "
    figure = _panels(results, shown, "Losses, and what selection can reach", "logistic loss (nats)", note)
    for axes in figure.axes:
        axes.axhline(selected_loss(0.0), color=red, linestyle=BOUND, gid=FLOOR)
    return figure


def _require(results: xr.Dataset, name: str) -> None:
    if name not in results:
        raise style.NotDrawableError(f"the measure attention ({name}) is not in the results")


def _panels(results: xr.Dataset, shown: Sequence[Line], title: str, ylabel: str, note: str) -> Figure:
    results = lines.measured_steps(results, [shown[0].variable])
    points = points_of(results)
    names = [name for name in varying(points) if name != "seed"]
    groups = groups_of([{name: point[name] for name in names} for point in points], apart_from=())
    rows, columns, at = _layout(names, [point for point, _ in groups])
    figure = style.new_figure(2.6 + 2.7 * columns, 1.3 + 2.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    used = set()
    for point, runs in groups:
        place = at(point)
        if place is None:
            continue
        axes = grid[place]
        used.add(place)
        for line in shown:
            draw(axes, take(results, runs), line)
        axes.set_title(symbols_text(point), fontsize=9.5)
        style.step_axis(axes, results["step"].values)
        axes.set_xlabel("training step" if place[0] == rows - 1 else "")
        axes.set_ylabel(ylabel if place[1] == 0 else "")
    for place in np.ndindex(grid.shape):
        grid[place].set_visible(place in used)
    handles = [Line2D([], [], color=line.colour, linestyle=line.look, label=line.label) for line in shown]
    figure.legend(handles=handles, loc="outside right upper")
    if len(used) < len(groups):
        note += f"{len(used)} of {len(groups)} settings are shown. "
    counts = sorted({len(runs) for _, runs in groups})
    seeds = f"mean of {counts[0]} runs" if len(counts) == 1 else f"mean of {counts[0]} to {counts[-1]} runs"
    note += f"Line: {seeds}; band: lowest to highest. {notes.progress_note(results)}"
    style.heading(figure, title, note.strip())
    return figure


def draw(axes: Axes, runs: xr.Dataset, line: Line) -> None:
    """Draw a line and its band of runs with dims ("run", ..., "step"); a variable that is not there is left out."""
    if line.variable not in runs:
        return
    array = carried(runs, line.variable)
    values = (array.sel(token_kind=line.kind) if line.kind else array).transpose("run", "step").values
    mean, low, high = lines.mean_and_range(values, False)
    x = runs["step"].values.astype(float)
    there = (x > 0) & np.isfinite(mean)
    gid = f"{line.variable} {line.kind}".strip()
    style.line(axes, x[there], mean[there], color=line.colour, linestyle=line.look, gid=gid)
    if line.band and len(values) > 1:
        look: dict[str, Any] = {"color": line.colour, "alpha": style.BAND_ALPHA, "linewidth": 0}
        axes.fill_between(x[there], low[there], high[there], **look)


Place = tuple[int, int]


def _layout(names: list[str], points: list[dict[str, Any]]) -> tuple[int, int, Callable[[Any], Place | None]]:
    """Lay settings out: the first of two axes downwards, the second to the right; else one after another."""
    if len(names) == 2:
        down, right = (sorted({point[name] for point in points}) for name in names)
        whole = len(points) == len(down) * len(right)
        if whole and len(down) <= MAX_ROWS and len(right) <= MAX_COLUMNS:
            return len(down), len(right), lambda p: (down.index(p[names[0]]), right.index(p[names[1]]))
    picked = lines.evenly(points, MAX_ROWS * MAX_COLUMNS)
    columns = min(len(picked), MAX_COLUMNS)
    rows = -(-len(picked) // columns)
    return rows, columns, lambda p: divmod(picked.index(p), columns) if p in picked else None
