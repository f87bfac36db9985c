"""The figures of a page: PNG in the page itself, their titles and reading notes as text beside them."""

import base64
import dataclasses
import io
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from collapse_jax import figures as plots
from collapse_jax.errors import CollapseError
from collapse_jax.figures import registry
from collapse_jax.reporting.markup import Markup, details, paragraph, section, tag
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.system.progress import say

SCREEN = 110  # pixels of a page per inch of a figure: its letters are then as large as the notes beside it
DPI = 200  # as the files of `plot`: sharp on paper, and on a phone when enlarged


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure as the page shows it.

    Attributes:
      title: its heading.
      note: how to read it.
      question: what it answers, in a sentence.
      png: the image without title and note.
      size: of the image, pixels.
    """

    title: str
    note: str
    question: str
    png: bytes
    size: tuple[int, int]


def figures(sweeps: Sequence[Sweep]) -> Markup:
    """Build the part of figures: one after the other, those of several sweeps beside each other."""
    drawn = {sweep.name: _draw(sweep) for sweep in sweeps}
    shown: dict[str, list[Markup]] = {}  # by program of static axes, "" for what all share
    missing = []
    for name in dict.fromkeys(name for found in drawn.values() for name in found):
        found = {sweep: pictures[name] for sweep, pictures in drawn.items() if name in pictures}
        for sweep, reason in found.items():
            if isinstance(reason, str):
                missing.append(f"{name}{f' of {sweep}' if len(sweeps) > 1 else ''}: {reason}")
        pictures = {sweep: picture for sweep, picture in found.items() if isinstance(picture, Picture)}
        if pictures:
            shown.setdefault(name.rpartition("/")[0], []).append(_figure(name, pictures, len(sweeps)))
    left_out = details("Figures that could not be drawn", tag("ul", [tag("li", line) for line in missing]))
    return section(
        "Figures",
        paragraph("On a narrow screen, tap a figure to enlarge it and swipe.", class_="note narrow"),
        shown.pop("", None) or (None if shown else paragraph("The results hold nothing that a figure needs.")),
        [details(f"Program {program}", drawings) for program, drawings in shown.items()],
        left_out if missing else None,
    )


def _draw(sweep: Sweep) -> dict[str, Picture | str]:
    """Draw every figure, or say why not."""
    say(f"{sweep.name}: drawing the figures")
    found: dict[str, Picture | str] = {}
    for name, figure in plots.figures(sweep.results, sweep.experiment.thresholds, sweep.workdir):
        found[name] = str(figure) if isinstance(figure, CollapseError) else _picture(name, figure)
    return found


def _picture(name: str, figure: Figure) -> Picture:
    title, note = figure.get_suptitle(), " ".join(figure.get_supxlabel().split())
    # Beside the image they are text that can be read at any width, searched and copied.
    figure.suptitle("")
    figure.supxlabel("")
    png, size = _png(figure)
    program, _, plain = name.rpartition("/")
    title = f"{title} ({program})" if program else title
    return Picture(title, note, registry.FIGURES[plain].question, png, size)


def _png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    """Draw a figure in 256 colours, which no eye tells from all of them and which take a third of the space."""
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    image = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(reduced, "png", optimize=True)
    return reduced.getvalue(), image.size


def _figure(name: str, pictures: dict[str, Picture], columns: int) -> Markup:
    first = next(iter(pictures.values()))
    shared = len({picture.title for picture in pictures.values()}) == 1
    boxes = []
    for sweep_name, picture in pictures.items():
        source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
        of = f" ({sweep_name})" if columns > 1 else ""
        width, height = (round(SCREEN * pixels / DPI) for pixels in picture.size)
        image = tag("img", src=source, alt=f"{picture.title}{of}. {picture.question}", width=width, height=height)
        heading = tag("strong", sweep_name if shared else f"{sweep_name}: {picture.title}") if columns > 1 else None
        boxes.append(
            tag(
                "figure",
                tag("div", image, class_="picture", tabindex=0, role="region", aria_label=f"{picture.title}{of}"),
                tag("figcaption", heading, " " if heading else None, picture.note),
            )
        )
    return tag(
        "div",
        tag("h3", first.title if shared else name.rpartition("/")[2].replace("_", " ").capitalize()),
        paragraph(first.question),
        tag("div", boxes, class_="columns"),
        class_="drawing",
    )
