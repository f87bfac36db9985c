"""Where the texts of a figure lie, measured as they are drawn."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

TOUCHING = 0.1  # of the area of the smaller text, up to which two may share space: boxes have margins


def check(figure: Figure) -> Figure:
    """Draw a figure; fail where a text leaves the canvas or two are written over each other."""
    figure.draw_without_rendering()  # warnings are errors
    texts = seen(figure)
    assert texts
    assert not outside(figure, texts)
    assert not overlapping(texts)
    return figure


def note(figure: Figure) -> str:
    """What stands below a figure, without the breaks of its lines."""
    return " ".join(figure.get_supxlabel().split())


def seen(figure: Figure) -> list[Text]:
    """The texts of a figure that are drawn."""
    hidden = {text for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    for axes in figure.axes:
        hidden |= _unseen(axes)
    found = dict.fromkeys(figure.findobj(Text))
    return [text for text in found if text.get_text().strip() and text.get_visible() and text not in hidden]


def _unseen(axes: Axes) -> set[Text]:
    """Labels of ticks that are not drawn: outside of the axis, or of axes that are off."""
    found = set()
    for axis in (axes.xaxis, axes.yaxis):
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        places = axis.get_transform().transform(np.array([tick.get_loc() for tick in ticks], float))
        low, high = sorted(axis.get_transform().transform(axis.get_view_interval()))
        slack = 1e-9 * (high - low)
        for tick, place in zip(ticks, places, strict=True):
            if not (low - slack <= place <= high + slack) or not axes.axison:
                found |= {tick.label1, tick.label2}
        if not axes.axison:
            found |= {axis.label, axis.offsetText}
    return found


def _corners(texts: list[Text]) -> np.ndarray:
    """[N, 4] left, bottom, right and top in pixels."""
    return np.array([text.get_window_extent().extents for text in texts])


def outside(figure: Figure, texts: list[Text]) -> list[str]:
    """The texts of a figure that was drawn that leave its canvas by more than a pixel."""
    left, bottom, right, top = _corners(texts).T
    canvas = figure.bbox
    gone = (left < canvas.x0 - 1) | (bottom < canvas.y0 - 1) | (right > canvas.x1 + 1) | (top > canvas.y1 + 1)
    return [texts[i].get_text() for i in np.flatnonzero(gone)]


def overlapping(texts: list[Text]) -> list[tuple[str, str]]:
    """The pairs of texts that are written over each other."""
    corners = _corners(texts)
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=-1)
    over = shared > TOUCHING * np.minimum(area[:, None], area[None, :])
    return [(texts[i].get_text(), texts[j].get_text()) for i, j in np.argwhere(over) if i < j]
