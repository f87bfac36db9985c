"""The points of a figure: what a page needs to show their values, and to leave some of its lines out.

A figure becomes numbers here, by what matplotlib knows of it: no figure has to do anything for it. Colours and
labels say which line belongs to which entry of the legend; the name of a variable, which lines carry, what it is.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from collapse_jax.figures.source import source_of
from collapse_jax.reporting.looks import Band, colour_of, look, number, numbers

UNNAMED = re.compile(r"_child\d+$|_nolegend_$|$")  # labels that matplotlib gives
COLOUR_BAR = "<colorbar>"


@dataclasses.dataclass(frozen=True)
class Entries:
    """What can be left out: the entries of the legend, or the lines by name where a colour bar is in its place.

    Attributes:
      title: of the legend.
      names: of the entries.
      looks: colour and line style of each.
    """

    title: str
    names: list[str]
    looks: list[tuple[str, str]]

    def of(self, artist: Artist, colour: str, linestyle: str = "-") -> int:
        """Return the number of the entry of an artist: by its label, else by its colour if one has it; else -1."""
        name = _name(artist)
        if name in self.names:
            return self.names.index(name)
        alike = [i for i, look in enumerate(self.looks) if look[0] == colour]
        if len(alike) > 1:
            alike = [i for i in alike if self.looks[i][1] == linestyle]
        return alike[0] if len(alike) == 1 else -1


def points(figure: Figure, results: xr.Dataset) -> tuple[dict[str, Any], list[Artist]]:
    """Read a figure that has been drawn.

    Args:
      figure: laid out.
      results: of which it was drawn; names and units of its variables.

    Returns:
      Plain values for JSON, {} if there is no point to show: `title` and `entries` (name, colour) of the legend,
      the arrays `xs` that lines share, and `panels` with their place in the picture as shares of its width and
      height (left, top, width, height), their axes and lines; and the artists that an entry leaves out.
    """
    entries = _entries(figure)
    xs: dict[tuple, int] = {}
    panels, drawn = [], []
    bar = next((axes.get_ylabel() for axes in figure.axes if axes.get_label() == COLOUR_BAR), "")
    for axes in figure.axes:
        scales = {axes.get_xscale(), axes.get_yscale()}
        if axes.get_label() == COLOUR_BAR or not axes.get_visible() or not scales <= {"linear", "log"}:
            continue
        found = list(_lines(axes, entries, results)) + list(_cells(axes, results, bar))
        for line, artists in found:
            line["x"] = xs.setdefault(tuple(line["x"]), len(xs))
            drawn += artists if line["entry"] >= 0 or "runs" in line else []
        if any(line["name"] for line, _ in found):
            place = axes.get_position()
            box = [place.x0, 1 - place.y1, place.width, place.height]
            ends = {"box": [round(share, 5) for share in box], "x": _axis(axes, "x"), "y": _axis(axes, "y")}
            panels.append(ends | {"lines": [line for line, _ in found]})
    if not panels:
        return {}, []
    used = sorted({line["entry"] for panel in panels for line in panel["lines"]} - {-1})
    for panel in panels:
        for line in panel["lines"]:
            line["entry"] = used.index(line["entry"]) if line["entry"] >= 0 else -1
    named = [{"name": entries.names[i], "colour": entries.looks[i][0]} for i in used]
    return {"title": entries.title, "entries": named, "xs": [list(x) for x in xs], "panels": panels}, drawn


def _entries(figure: Figure) -> Entries:
    if figure.legends:
        (legend, *_) = figure.legends
        handles = [handle for handle in legend.legend_handles if isinstance(handle, Line2D)]
        texts = [_plain(text.get_text()) for text in legend.get_texts()]
        looks = [(to_hex(handle.get_color()), str(handle.get_linestyle())) for handle in handles]
        if len(looks) == len(texts):
            return Entries(_title(legend), texts, looks)
    named = {
        _name(line): (to_hex(line.get_color()), str(line.get_linestyle()))
        for axes in figure.axes
        for line in reversed(axes.get_lines())  # of several with a name the first says how the entry looks
        if not UNNAMED.match(str(line.get_label())) and str(line.get_label()).startswith("_")
    }
    return (
        Entries("lines", [*reversed(named)], [*reversed(named.values())]) if len(named) > 1 else Entries("", [], [])
    )


def _title(legend: Legend) -> str:
    return _plain(legend.get_title().get_text()) or "lines"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _name(artist: Artist) -> str:
    """Name the series of an artist: its label, which begins with _ where no legend of an axis shall show it."""
    label = str(artist.get_label())
    return "" if UNNAMED.match(label) else _plain(label.removeprefix("_"))


def _lines(axes: Axes, entries: Entries, results: xr.Dataset) -> Iterator[tuple[dict[str, Any], list[Artist]]]:
    """The lines of a panel with their bands, then the areas and bars that belong to an entry and to no line."""
    bands = [Band.of(c) for c in axes.collections if isinstance(c, PolyCollection) and c.get_visible()]
    places = _places(axes.xaxis)
    for line in axes.get_lines():
        x, y = (np.asarray(values, float) for values in line.get_data(orig=False))
        colour = to_hex(line.get_color())
        entry = entries.of(line, colour, str(line.get_linestyle()))
        source = source_of(line)
        # On an axis of few places, others are no values: lines across cells, say.
        there = places is None or source.place is not None or np.isin(x, places).all()
        named = _variable(axes, line, results) if there else ""
        if line.get_transform() != axes.transData or not len(x) or not line.get_visible():
            continue
        if not named and entry < 0:
            continue
        band = next((b for b in bands if b and not b.taken and b.colour == colour and b.around(x, y)), None)
        artists: list[Artist] = [line]
        found = {"name": named, "series": _name(line), "entry": entry, "x": numbers(x), "y": numbers(y)}
        found |= look(line) | ({} if source.place is None else {"place": number(source.place)})
        if source.runs:
            found |= {"runs": {run: numbers(values) for run, values in source.runs.items()}}
            found |= {"log": True} if source.log else {}
        if band:
            band.taken = True
            artists.append(band.artist)
            found |= {"low": numbers(band.low), "high": numbers(band.high), "band": band.alpha}
        yield found, artists
    for artist in axes.collections:
        if any(band and band.taken and band.artist is artist for band in bands) or not artist.get_visible():
            continue
        yield from _rest(artist, entries)


def _rest(artist: Any, entries: Entries) -> Iterator[tuple[dict[str, Any], list[Artist]]]:
    """Areas and bars in the colour of an entry, without values of their own."""
    if isinstance(artist, PolyCollection) and np.size(artist.get_facecolor()):
        colour, alpha = colour_of(artist.get_facecolor())
        shapes, shape_look = [path.vertices for path in artist.get_paths()], {"area": alpha}
    elif isinstance(artist, LineCollection) and np.size(artist.get_colors()):
        colour, alpha = colour_of(artist.get_colors())
        shapes = list(artist.get_segments())
        shape_look = {"width": float(np.atleast_1d(artist.get_linewidth())[0]), "alpha": alpha}
    else:
        return
    entry = entries.of(artist, colour)
    for shape in shapes if entry >= 0 else ():
        x, y = np.asarray(shape, float).T
        common = {"name": "", "series": "", "entry": entry, "colour": colour}
        yield common | {"x": numbers(x), "y": numbers(y)} | shape_look, [artist]


def _cells(axes: Axes, results: xr.Dataset, bar: str) -> Iterator[tuple[dict[str, Any], list[Artist]]]:
    """Cells and dots whose colour is a value."""
    for artist in axes.collections:
        values = artist.get_array() if isinstance(artist, QuadMesh | PathCollection) else None
        if values is None or not bar:
            continue
        if isinstance(artist, QuadMesh):
            corners = np.asarray(artist.get_coordinates(), float)
            places = ((corners[:-1, :-1] + corners[1:, 1:]) / 2).reshape(-1, 2)
            name = _axis(axes, "y")["label"]
        else:
            places, name = np.asarray(artist.get_offsets(), float), _variable(axes, artist, results)
        x, y = (numbers(column) for column in places.T)
        shown = numbers(np.ma.filled(np.ma.asarray(values, float), np.nan).ravel())
        common = {"name": name, "series": "", "entry": -1, "colour": "#000000", "what": _plain(bar)}
        yield common | {"x": x, "y": y, "z": shown}, [artist]


def _variable(axes: Axes, artist: Artist, results: xr.Dataset) -> str:
    """What the values of an artist are, with their unit; "" if they are none."""
    gid = artist.get_gid()
    if not gid:
        return ""
    if gid in results.variables:
        attrs: Mapping[str, Any] = results[gid].attrs
        units = str(attrs.get("units", "1"))
        name = str(attrs.get("long_name", gid.replace("_", " ")))
        return name if units in ("", "1", "dimensionless") else f"{name} ({units})"
    words, label = gid.replace("_", " "), _axis(axes, "y")["label"]
    return f"{label} ({words})" if label else words


def _axis(axes: Axes, which: str) -> dict[str, Any]:
    """Ends, scale and title of an axis, and the names of its places where they are words."""
    axis: Axis = getattr(axes, f"{which}axis")
    low, high = (float(end) for end in getattr(axes, f"get_{which}lim")())
    found: dict[str, Any] = {"from": low, "to": high, "log": axis.get_scale() == "log"}
    together = getattr(axes, f"get_shared_{which}_axes")().get_siblings(axes)
    below = axes.figure.axes if which == "x" else []  # panels of a column name their axis once
    labels = (_plain(getattr(other, f"get_{which}label")()) for other in (axes, *together, *below))
    found["label"] = next(filter(None, labels), "")
    at = _places(axis)
    if at is not None:
        texts = zip(at, axis.get_major_formatter().format_ticks(at), strict=True)
        found["places"] = [(number(place), text) for place, text in texts if text]
    return found


def _places(axis: Axis) -> list[float] | None:
    """The places of an axis that has but a few; None for any other."""
    locator = axis.get_major_locator()
    return np.asarray(locator(), float).tolist() if isinstance(locator, FixedLocator) else None
