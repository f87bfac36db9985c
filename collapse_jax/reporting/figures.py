"""The figures of a page: PNG in the page itself, their titles and reading notes as text beside them."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from collapse_jax import figures as plots
from collapse_jax.errors import CollapseError
from collapse_jax.figures import registry
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.system.progress import say

SCREEN = 110  # pixels of a page per inch of a figure: its letters are then as large as the notes beside it
DPI = 200  # as the files of `plot`: sharp on paper, and on a phone when enlarged


class Picture(NamedTuple):
    """A figure of one sweep as the page shows it.

    Attributes:
      title: its heading.
      note: how to read it.
      data: the image without title and note, as PNG in base64.
      width: of the image on the page, pixels.
      height: the same.
    """

    title: str
    note: str
    data: str
    width: int
    height: int


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
        found[name] = str(figure) if isinstance(figure, CollapseError) else _picture(name, figure)
    return found


def _picture(name: str, figure: Figure) -> Picture:
    title, note = figure.get_suptitle(), " ".join(figure.get_supxlabel().split())
    # Beside the image they are text that can be read at any width, searched and copied.
    figure.suptitle("")
    figure.supxlabel("")
    program = name.rpartition("/")[0]
    png, size = _png(figure)
    width, height = (round(SCREEN * pixels / DPI) for pixels in size)
    title = f"{title} ({program})" if program else title
    return Picture(title, note, base64.b64encode(png).decode(), width, height)


def _png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    """Draw a figure in 256 colours, which no eye tells from all of them and which take a third of the space."""
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    image = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(reduced, "png", optimize=True)
    return reduced.getvalue(), image.size
