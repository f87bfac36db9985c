"""How every figure looks: fonts, colours, axes, and how it reaches the disk."""

import contextlib
import functools
import io
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import xarray as xr
from etils import epath
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, MaxNLocator, NullFormatter

from collapse_jax.errors import CollapseError
from collapse_jax.system.files import make_folder, replacing
from collapse_jax.system.paths import path_of

DPI = 200  # of files

RC = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": "#222222",
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.titlesize": 12.5,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.title_fontsize": 9.0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "pdf.fonttype": 42,  # text stays text in the PDF
    "savefig.dpi": DPI,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}

GREY = "#8c8c8c"
ZERO = "#9a9a9a"  # of a value without a place on a logarithmic colour scale, such as no weight decay
DASHED = (0, (4, 2))
BAND_ALPHA = 0.18


class NotDrawableError(CollapseError, ValueError):
    """The results do not hold what a figure needs; the message says what."""


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws under `RC` without touching the caller's matplotlib settings."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(cast(Any, RC))
            return function(*args, **kwargs)

    return wrapper


class NotebookFigure(Figure):
    """A figure that a notebook shows though pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi, metadata=cast(Any, {"Software": None}))
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """A figure outside pyplot's registry whose layout leaves nothing cut off. Inches."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03)  # type: ignore[union-attr, call-arg]
    return figure


def panels(figure: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """Return `count` panels in rows of `columns`; what is left of the last row stays empty.

    `options` are those of `Figure.subplots`.
    """
    every = figure.subplots(-(-count // columns), columns, squeeze=False, **options).ravel()
    for axes in every[count:]:
        axes.set_visible(False)
    return list(every[:count])


def colormap() -> Colormap:
    """Viridis without its brightest end: ordered in lightness, so also in grey and to the colour-blind."""
    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0.0, 0.86, 256))[::-1], name="ordered")


def log_norm(values: Sequence[Any]) -> LogNorm | None:
    """The logarithmic colour scale over the positive values of an axis; None if there are fewer than two."""
    if not all(isinstance(value, (int, float)) for value in values):
        return None
    positive = sorted({value for value in values if value > 0})
    return LogNorm(positive[0], positive[-1]) if len(positive) > 1 else None


def value_colour(value: Any, norm: LogNorm | None) -> Any:
    """The colour of a value of an axis: darker for larger ones, grey for zero."""
    if isinstance(value, (int, float)) and not value > 0:
        return ZERO
    return colormap()(0.75 if norm is None else float(norm(value)))


def label(results: xr.Dataset, name: str) -> str:
    """An axis title from the attributes of a variable or coordinate: 'long name (units)'."""
    attrs = results[name].attrs if name in results.variables else {}
    text = str(attrs.get("long_name", name.replace("_", " ")))
    units = str(attrs.get("units", ""))
    return text if units in ("", "1", "dimensionless") else f"{text} ({units})"


def step_axis(axes: Axes, steps: np.ndarray, first: float = 1.0) -> None:
    """A logarithmic step axis over the whole schedule, done or not, from `first` on (0 has no logarithm).

    Raises:
      NotDrawableError: if no step after `first` is in the schedule.
    """
    if not steps.size or steps.max() <= first:
        raise NotDrawableError(f"no step after {first:g} is logged")
    axes.set_xscale("log")
    axes.set_xlim(first, float(steps.max()))
    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(short_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def short_number(value: float, _: object = None) -> str:
    """1, 10, 1k, 100k, 1M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def log_values(axes: Axes, plain: bool = False) -> None:
    """A logarithmic value axis; see `log_ticks`."""
    axes.set_yscale("log")
    log_ticks(axes.yaxis, plain)


def log_ticks(axis: Axis, plain: bool = False) -> None:
    """Tick labels of a logarithmic axis, at least two however little it spans.

    Below two decades, and if `plain` always, they are plain numbers, else powers of ten.
    """
    low, high = sorted(axis.get_view_interval())
    if high / low < 10:
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    elif high / low < 100:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    else:
        axis.set_major_locator(LogLocator(numticks=8))
    few = plain or high / low < 100
    axis.set_major_formatter(FuncFormatter(short_number) if few else LogFormatterSciNotation())
    axis.set_minor_formatter(NullFormatter())


def from_zero(axes: Axes) -> None:
    """A value axis from 0 that ends above the highest value, however little the values differ."""
    axes.set_ylim(0, 1.03 * axes.get_ylim()[1])


def line(axes: Axes, x: np.ndarray, y: np.ndarray, **look: Any) -> Line2D:
    """Draw a line; values without a neighbour to be joined to are dots, of which there would be nothing to see."""
    known = np.pad(np.isfinite(y), 1)
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    dots: dict[str, Any] = {}
    if alone.size:
        fill = "full" if look.get("linestyle", "-") == "-" else "none"
        whole = alone.size == known.sum()  # nothing else that the frame would have to cut
        dots = {"marker": "o", "markersize": 4, "fillstyle": fill, "markevery": alone, "clip_on": not whole}
    (drawn,) = axes.plot(x, y, **dots, **look)
    return drawn


def heading(figure: Figure, title: str, note: str) -> None:
    """A title at the top left and, in grey at the bottom, how to read the figure, wrapped to its width."""
    _wrapped(figure.suptitle(title, x=0.01, ha="left", weight="bold"))
    _wrapped(figure.supxlabel(note, x=0.01, ha="left", fontsize=7.8, color="#666666", linespacing=1.4))


def _wrapped(text: Text) -> None:
    """Break the lines of a text of a figure at words where they would leave it."""
    assert text.figure is not None
    room = 0.98 * text.figure.bbox.width
    paragraphs = text.get_text().split("\n")
    longest = max(map(len, paragraphs))
    while text.get_window_extent().width > room and longest > 20:
        longest = int(min(longest, max(map(len, text.get_text().split("\n")))) * 0.97)
        text.set_text("\n".join(textwrap.fill(line, longest) for line in paragraphs))


# Kinds of files of a figure, and what is left out of each so that the same figure has the same bytes.
KINDS = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}


def save(
    figure: Figure, path_stem: str | os.PathLike[str], kinds: Sequence[str] = tuple(KINDS)
) -> list[epath.Path]:
    """Writes `<path_stem>.png` (`DPI`) and `.pdf`, each by atomic rename and without dates inside."""
    stem = path_of("path_stem", path_stem)
    make_folder(stem.parent)
    written = []
    with _laid_out(figure):
        for suffix in kinds:
            path = stem.with_name(stem.name + suffix)
            with mpl.rc_context(cast(Any, {"pdf.fonttype": 42})), replacing(path) as partial:
                figure.savefig(partial, format=suffix[1:], dpi=DPI, metadata=cast(Any, KINDS[suffix]))
            written.append(path)
    return written


@contextlib.contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out once for all files that are written inside a `with`; matplotlib would for each of them."""
    engine, dpi = figure.get_layout_engine(), figure.dpi
    figure.dpi = DPI
    figure.draw_without_rendering()
    figure.dpi = dpi
    figure.set_layout_engine(None)  # with one that does nothing, it would be drawn twice for each
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
