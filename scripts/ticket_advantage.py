r"""Tickets beside their controls, the same masks with other weights: a table for each level, and figures.

    python -m scripts.ticket_advantage --workdir=runs/digits --control=runs/digits_control --level=10 \
        --rates=ticket_rates.png
    python -m scripts.ticket_advantage --workdir=runs/digits --control=runs/digits_control_{level} --level=5,10,15 \
        --densities=tickets.png

Means over seeds; +- is the standard error of the mean over seeds, of the advantage that of the differences, seed by
seed. Values that were not measured at the level are left out.
"""

import argparse
from typing import Any

import numpy as np
import xarray as xr

import collapse_jax
from collapse_jax.analysis.groups import groups_of, points_of, take
from collapse_jax.figures import FIGURES

SIGMA = 0.01815  # nearest to which the slab is shown
SHOWN = {
    "distance_from_initial": "distance",
    "hessian_trace": "trace",
    "hessian_top": "lambda_max",
    "expected_sharpness": "sharpness",
    "slab_divergence": "slab KL",
    "tolerated_sigma": "tolerated",
    "pac_bound_slab": "bound",
    "pac_bound_without_mask": "mask free",
    "noisy_accuracy": "fits wrong",
    "rnc1": "RNC1",
    "nc2": "NC2",
}


def end_of(results: xr.Dataset, level: int) -> xr.Dataset:
    """The results at the end of a level."""
    if "level" not in results.coords:
        return results.isel(step=-1)
    last = results.isel(step=np.flatnonzero(results["level"].values == level)[-1])
    return last.sel(posterior_sigma=SIGMA, method="nearest") if "posterior_sigma" in last.dims else last


def shown(values: Any, digits: int = 3) -> str:
    """A mean and its standard error over seeds."""
    found = np.asarray(values, float)
    found = found[np.isfinite(found)]
    if not found.size:
        return "-"
    error = f" +- {found.std(ddof=1) / found.size**0.5:.{digits}g}" if found.size > 1 else ""
    return f"{found.mean():.{digits}g}{error}"


def table(results: xr.Dataset, control: xr.Dataset, level: int) -> str:
    """One line for each setting of the grid."""
    dense, ticket, other = end_of(results, 0), end_of(results, level), end_of(control, 0)
    lines, points = [], points_of(results)
    for (point, runs), (_, others) in zip(
        groups_of(points, ("seed",)), groups_of(points_of(control), ("seed",)), strict=True
    ):
        parts = [take(part, chosen) for part, chosen in ((dense, runs), (ticket, runs), (other, others))]
        first, kept, again = parts
        accuracy = [part["test_accuracy"].values for part in parts]
        cells = {name: f"{value:g}" for name, value in point.items()}
        cells |= {"train": shown(kept["train_accuracy"]), "train, control": shown(again["train_accuracy"])}
        cells |= {"dense": shown(accuracy[0]), "ticket": shown(accuracy[1]), "control": shown(accuracy[2])}
        cells["advantage"] = shown(accuracy[1] - accuracy[2])
        cells |= {text: shown(kept[name]) for name, text in SHOWN.items() if name in kept}
        cells |= {f"{text}, dense": shown(first[name]) for name, text in SHOWN.items() if name in first}
        lines.append(cells)
    header = list(lines[0])
    return "\n".join(["\t".join(header), *("\t".join(line[name] for name in header) for line in lines)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--control", required=True, help="its folder; {level} stands for the level")
    parser.add_argument("--level", required=True, help="one or more, comma-separated")
    parser.add_argument("--rates", help="file of the figure ticket_rates")
    parser.add_argument("--densities", help="file of the figure tickets")
    arguments = parser.parse_args()
    results = collapse_jax.open_results(arguments.workdir)
    controls = {
        level: collapse_jax.open_results(arguments.control.format(level=level))
        for level in map(int, arguments.level.split(","))
    }
    for level, control in controls.items():
        print(*([f"level {level}"] if len(controls) > 1 else []), table(results, control, level), sep="\n")
    for figure, file in (("ticket_rates", arguments.rates), ("tickets", arguments.densities)):
        if file:
            FIGURES[figure](results, controls=controls).savefig(file, dpi=100)
