"""The figures of a page: images in the page itself, titles and reading notes as text beside them, points."""

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from collapse_jax import figures as plots
from collapse_jax.errors import CollapseError
from collapse_jax.figures import registry
from collapse_jax.reporting.points import points
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.system.progress import say

SCREEN = 110  # pixels of a page per inch of a figure: its letters are then as large as the notes beside it
COLOURS = (64, 256)  # of a picture: many only where few are seen, as in maps of many colours
ALIKE = 44.0  # decibels from which two pictures look the same
DPI = 200  # as the files of `plot`: sharp on paper, and on a phone when enlarged


class Picture(NamedTuple):
    """A figure of one sweep as the page shows it.

    Attributes:
      title: its heading.
      note: how to read it.
      data: the image without title and note, WebP without losses, in base64.
      width: of the image on the page, pixels.
      height: the same.
      points: what a script shows of it, see `points`; {} for nothing.
      behind: what is left of the image without the lines that can be left out, as `data`; "" if there are none.
    """

    title: str
    note: str
    data: str
    width: int
    height: int
    points: dict[str, Any]
    behind: str


class Shown(NamedTuple):
    """A figure of the page: what it answers, and the picture of each sweep that has it.

    Attributes:
      title: its heading.
      question: what it answers.
      pictures: sweep -> picture.
      shared: whether the title is that of every picture.
    """

    title: str
    question: str
    pictures: dict[str, Picture]
    shared: bool


def figures(sweeps: Sequence[Sweep], trust: bool = False) -> tuple[dict[str, list[Shown]], list[str]]:
    """Draw the figures, those of several sweeps beside each other; `trust` as in `collapse_jax.plot`.

    Returns:
      program of static axes -> its figures, "" for those of all; and what could not be drawn, and why.
    """
    drawn = {sweep.name: _draw(sweep, trust) for sweep in sweeps}
    shown: dict[str, list[Shown]] = {"": []}
    missing = []
    for name in dict.fromkeys(name for found in drawn.values() for name in found):
        found = {sweep: pictures[name] for sweep, pictures in drawn.items() if name in pictures}
        for sweep, reason in found.items():
            if isinstance(reason, str):
                missing.append(f"{name}{f' of {sweep}' if len(sweeps) > 1 else ''}: {reason}")
        pictures = {sweep: picture for sweep, picture in found.items() if isinstance(picture, Picture)}
        if pictures:
            shown.setdefault(name.rpartition("/")[0], []).append(_shown(name, pictures))
    return shown, missing


def _shown(name: str, pictures: dict[str, Picture]) -> Shown:
    titles, plain = [picture.title for picture in pictures.values()], name.rpartition("/")[2]
    shared = len(set(titles)) == 1
    title = titles[0] if shared else plain.replace("_", " ").capitalize()
    return Shown(title, registry.FIGURES[plain].question, pictures, shared)


def _draw(sweep: Sweep, trust: bool) -> dict[str, Picture | str]:
    """Draw every figure, or say why not."""
    say(f"{sweep.name}: drawing the figures")
    found: dict[str, Picture | str] = {}
    for name, figure in plots.figures(sweep.results, sweep.thresholds, sweep.workdir, trust=trust):
        found[name] = str(figure) if isinstance(figure, CollapseError) else _picture(name, figure, sweep.results)
    return found


def _picture(name: str, figure: Figure, results: xr.Dataset) -> Picture:
    title, note = figure.get_suptitle(), " ".join(figure.get_supxlabel().split())
    # Beside the image they are text that can be read at any width, searched and copied.
    figure.suptitle("")
    figure.supxlabel("")
    program = name.rpartition("/")[0]
    image, size = _image(figure)
    width, height = (round(SCREEN * pixels / DPI) for pixels in size)
    title = f"{title} ({program})" if program else title
    figure.set_layout_engine("none")  # it is laid out, and shall stay so without its lines
    found, lines = points(figure, results)
    for line in lines:
        line.set_visible(False)
    behind = _image(figure)[0] if lines else ""
    return Picture(title, note, image, width, height, found, behind)


def _image(figure: Figure) -> tuple[str, tuple[int, int]]:
    """Draw a figure in as few colours as no eye tells from all of them; WebP takes 3/4 of the space of PNG."""
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    whole = Image.open(drawn).convert("RGB")
    for colours in COLOURS:
        image = whole.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE).convert("RGB")
        if _decibels(whole, image) > ALIKE:
            break
    image.save(reduced, "webp", lossless=True, quality=60)  # of the search for small files
    return base64.b64encode(reduced.getvalue()).decode(), image.size


def _decibels(one: Image.Image, other: Image.Image) -> float:
    """Peak signal to noise of a picture beside another."""
    difference = np.asarray(one, np.float32) - np.asarray(other, np.float32)
    return float(10 * np.log10(255.0**2 / max(float(np.mean(difference**2)), 1e-9)))
