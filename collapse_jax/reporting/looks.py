"""How the marks of a figure look, as numbers and words for JSON."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

DIGITS = 4


@dataclasses.dataclass
class Band:
    """An area between two curves over the same x."""

    artist: PolyCollection
    colour: str
    alpha: float
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    taken: bool = False

    @classmethod
    def of(cls, artist: PolyCollection) -> "Band | None":
        """Read the two curves from the outline: one forth, the other back."""
        paths = artist.get_paths()
        corners = np.asarray(paths[0].vertices) if len(paths) == 1 else np.empty((0, 2))
        if len(corners) < 5 or len(corners) % 2 == 0:
            return None
        count = (len(corners) - 3) // 2
        forth, back = corners[1 : count + 1], corners[count + 2 : 2 * count + 2][::-1]
        if not np.array_equal(forth[:, 0], back[:, 0]):
            return None
        one, other = forth[:, 1], back[:, 1]
        colour, alpha = colour_of(artist.get_facecolor())
        return cls(artist, colour, alpha, forth[:, 0], np.minimum(one, other), np.maximum(one, other))

    def around(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether a line lies inside."""
        if not np.array_equal(self.x, x):
            return False
        slack = 1e-5 * np.abs(y)
        return bool(np.all((self.low <= y + slack) & (self.high >= y - slack) | ~np.isfinite(y)))


def colour_of(rows: Any) -> tuple[str, float]:
    """Return colour and opacity of a collection whose colours are these."""
    first = np.atleast_2d(rows)[0]
    return to_hex(tuple(first[:3])), round(float(first[3]), 3)


def look(line: Line2D) -> dict[str, Any]:
    """How a line is drawn: in points of a figure."""
    look: dict[str, Any] = {"colour": to_hex(line.get_color()), "alpha": float(line.get_alpha() or 1.0)}
    look["width"] = 0.0 if line.get_linestyle() == "None" else float(line.get_linewidth())
    if line.is_dashed():
        look["dashed"] = [1.0, 1.65] if line.get_linestyle() == ":" else [4.0, 2.0]  # in widths of the line
    marker = str(line.get_marker())
    every: Any = line.get_markevery()
    if marker not in ("None", "none", "", " "):
        look |= {"marker": marker, "size": float(line.get_markersize())}
        look |= {"hollow": True} if line.get_fillstyle() == "none" else {}
        look |= {"every": [int(i) for i in every]} if every is not None else {}
    return look


def numbers(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON: whole ones such as steps as they are, others rounded; None where there is none."""
    return [number(float(value)) if np.isfinite(value) else None for value in np.asarray(values, float)]


def number(value: float) -> float:
    """One number for JSON."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{DIGITS}g}")
