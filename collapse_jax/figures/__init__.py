"""Figures: `FIGURES` says what there are and what each answers; `draw` draws those that the results allow."""

from collapse_jax.figures.drawing import draw, figures, plot
from collapse_jax.figures.registry import FIGURES, Drawing
from collapse_jax.figures.single import figure
from collapse_jax.figures.style import NotDrawableError, save
from collapse_jax.figures.violins import violins, workdir_violins

__all__ = [
    "FIGURES",
    "Drawing",
    "NotDrawableError",
    "draw",
    "figure",
    "figures",
    "plot",
    "save",
    "violins",
    "workdir_violins",
]
