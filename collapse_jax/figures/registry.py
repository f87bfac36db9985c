"""Every figure and what it answers: the one table. To add one, add an entry and a function that draws it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

from matplotlib.figure import Figure

from collapse_jax.figures.accuracy import accuracy
from collapse_jax.figures.against_axis import against_axis
from collapse_jax.figures.balancedness import balancedness
from collapse_jax.figures.bounds import bounds
from collapse_jax.figures.collapse_time import collapse_time
from collapse_jax.figures.complexity import complexity, rate_distortion
from collapse_jax.figures.everything import everything
from collapse_jax.figures.heatmap import heatmap
from collapse_jax.figures.information_plane import information_plane, information_plane_of_layers
from collapse_jax.figures.layer_roles import last_layer, layer_planes, layer_profile
from collapse_jax.figures.layers import layers
from collapse_jax.figures.phases import phases, programs, variances
from collapse_jax.figures.sandwich import sandwich
from collapse_jax.figures.selection import attention, selection_losses
from collapse_jax.figures.selection_map import selection_map
from collapse_jax.figures.superfluous import superfluous
from collapse_jax.figures.survival import survival
from collapse_jax.figures.synergy import synergy, synergy_phases
from collapse_jax.figures.ticket_rates import ticket_rates
from collapse_jax.figures.tickets import bound_parts, tickets
from collapse_jax.figures.timeline import timeline
from collapse_jax.figures.timescales import timescales
from collapse_jax.figures.violins import workdir_violins

Source = Literal["results", "programs", "workdir"]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
      function: draws it; raises `NotDrawableError` where something that it needs is missing.
      question: what it answers.
      sources: what it is drawn of. "results": `function(results, thresholds)` of one compiled program; "programs":
        the same of results with static axes, which compares programs; "workdir": `function(workdir)`, because it
        needs the stored snapshots.
    """

    function: Callable[..., Figure]
    question: str
    sources: tuple[Source, ...] = ("results",)

    def __call__(self, *args: Any, **options: Any) -> Figure:
        """Draw it."""
        return self.function(*args, **options)


BOTH: tuple[Source, ...] = ("results", "programs")
FIGURES: dict[str, Drawing] = {
    "programs": Drawing(programs, "How do the programs of the static axes differ?", ("programs",)),
    "phases": Drawing(phases, "Do generalisation and collapse happen together, long after fitting?"),
    "accuracy": Drawing(accuracy, "Which settings, or programs, fit and which generalise, and when?", BOTH),
    "variances": Drawing(variances, "Which of RNC1 and NC1 follows the test accuracy?"),
    "timescales": Drawing(timescales, "Do fitting and collapse run on different clocks?"),
    "survival": Drawing(survival, "To how many runs does an event happen at all, and when?"),
    "against_axis": Drawing(against_axis, "Where does training end, depending on a hyperparameter?", BOTH),
    "heatmap": Drawing(heatmap, "Where does training end, depending on two hyperparameters?", BOTH),
    "collapse_time": Drawing(
        collapse_time,
        "Is weight decay the clock of collapse? If so, all weight decays share one curve over η·λ·t.",
    ),
    "timeline": Drawing(
        timeline,
        "What happens when, in one run: accuracy, collapse and weight norm over one log-step axis.",
    ),
    "tickets": Drawing(tickets, "What is left of a network at each level of pruning, and how flat is its minimum?"),
    "ticket_rates": Drawing(ticket_rates, "Do small rates leave networks near theta_0, in sharp minima?"),
    "bound_parts": Drawing(bound_parts, "What costs more to tell at each level: the mask or the weights?"),
    "everything": Drawing(everything, "Which moves first? Every stored measure of one setting on one time axis."),
    "bounds": Drawing(bounds, "How far above the truth are the bounds, and do they fall when it falls?"),
    "balancedness": Drawing(
        balancedness, "Does the imbalance of neighbouring layers decay as weight decay alone would have it?"
    ),
    "superfluous": Drawing(
        superfluous,
        "Does the representation forget the input, and when? Beside it, the within-class variance.",
    ),
    "information_plane": Drawing(information_plane, "Where does training move in the plane of I(Z;X) and I(Z;Y)?"),
    "information_plane_of_layers": Drawing(information_plane_of_layers, "The same of every hidden layer: where?"),
    "sandwich": Drawing(
        sandwich,
        "How tight are the bounds of Theorem 3.4, and does the superfluous information fall with the variance?",
    ),
    "layers": Drawing(layers, "Which layers collapse, and where can classes be told apart by their centres?"),
    "layer_planes": Drawing(
        layer_planes, "Do the layers play different roles: which keep the input, and which the label?", BOTH
    ),
    "layer_profile": Drawing(layer_profile, "What do layers keep of inputs and labels, by depth?", BOTH),
    "last_layer": Drawing(last_layer, "Does the last hidden layer forget the input and keep the label?", BOTH),
    "complexity": Drawing(complexity, "How small can the weights be told, and when does that rise and fall?"),
    "rate_distortion": Drawing(rate_distortion, "How many bytes does the training loss cost?"),
    "synergy": Drawing(synergy, "Do neurons act together, more than chance and spectrum make them, and when?"),
    "synergy_phases": Drawing(synergy_phases, "Which phases do synergy and redundancy go through?"),
    "attention": Drawing(attention, "Which token does attention select, for right and for wrong labels?", BOTH),
    "selection_losses": Drawing(selection_losses, "How far are losses from what selection can reach?", BOTH),
    "selection_map": Drawing(selection_map, "Where is overfitting harmful, benign, or none?", BOTH),
    "violins": Drawing(
        workdir_violins,
        "Do unseen examples get past the boundary when, and because, the classes contract?",
        ("workdir",),
    ),
}


def figures_of(source: Source) -> Iterator[tuple[str, Drawing]]:
    """Go through the figures that are drawn of a source."""
    return ((name, drawing) for name, drawing in FIGURES.items() if source in drawing.sources)
