"""For every registered figure, results of a sweep that never ran of which it can be drawn."""

import numpy as np
import synthetic_families as families
from matplotlib.figure import Figure
from synthetic_bounds import with_balancedness, with_bounds
from synthetic_information import add_information, add_layers
from synthetic_results import join_parts, make_results

from collapse_jax.figures import FIGURES, violins
from collapse_jax.figures.violins import PairMargins

DECAYS, LAST = (0.003, 0.03, 0.3), 100_000


def sweep():
    """Three weight decays and two seeds."""
    return make_results(DECAYS, (0, 1), last=LAST, jitter=0.2, noise=0.01)


def information():
    """Of two weight decays: each is a row or a column of panels."""
    return add_information(sweep().isel(weight_decay=[0, 2]))


def two_rates():
    """Two axes beside the seed."""
    return make_results((0.03, 0.3), (0, 1), (1e-3, 3e-3), last=LAST, jitter=0.2)


def programs():
    """Two programs of two static axes, whose names are long."""
    parts = [{"train_size": 1000, "model": "mlp"}, {"train_size": 3000, "model": "cnn"}]
    part = sweep().assign(nc1=2 * sweep()["rnc1"])
    return join_parts({"train_size": (1000, 3000), "model": ("mlp", "cnn")}, [(point, part) for point in parts])


def collapsed(spread: float = 0.1, pairs=((0, 1), (4, 5), (8, 9))) -> list[PairMargins]:
    """Margins of classes before, when a good part is wrong, and after they contracted."""
    rng = np.random.default_rng(0)

    def both(width):
        return 1 + width * rng.normal(size=80), -1 + width * rng.normal(size=85)

    return [PairMargins(p, s, both(w), both(w)) for p in pairs for s, w in ((200, 0.9), (30_000, spread))]


ATTENTION = dict.fromkeys(
    ("attention", "selection_losses", "selection_map"), lambda: families.attention(np.random.default_rng(0))
)
SOURCES = {
    "programs": programs,
    "variances": lambda: sweep().assign(nc1=2 * sweep()["rnc1"]),
    "heatmap": two_rates,
    "bounds": lambda: with_bounds(sweep()),
    "balancedness": lambda: with_balancedness(sweep()),
    "layers": lambda: families.with_layers(sweep()),
    **dict.fromkeys(("tickets", "ticket_rates", "bound_parts"), families.tickets),
    **dict.fromkeys(("layer_planes", "layer_profile", "last_layer"), families.schemes),
    **dict.fromkeys(("complexity", "rate_distortion"), lambda: families.with_complexity(sweep())),
    **dict.fromkeys(("synergy", "synergy_phases", "everything"), lambda: families.with_synergy(sweep())),
    **dict.fromkeys(("superfluous", "information_plane", "sandwich"), information),
    "information_plane_of_layers": lambda: add_layers(information(), 2),
    **ATTENTION,
}


def draw(name: str, change=lambda results: results) -> Figure:
    """Draw a figure of its results, changed."""
    if name == "violins":
        return violins(collapsed(), caption="Run: weight decay 0.01, seed 0.")
    results = SOURCES.get(name, sweep)()
    # The experiment of some of them has no thresholds: the default ones.
    return FIGURES[name](change(results).assign_attrs(results.attrs))
