"""Do the most synergistic neurons grok sooner? Steps of grokking of every mask of configs/modular_synergy.py.

    python scripts/synergy_subnetworks.py --workdir=runs/subnetworks
    python scripts/synergy_subnetworks.py --workdir=runs/subnetworks --whole=runs/synergy --figure=accuracy.png

Each mask keeps the first-layer weights of some neurons of every seed. Its steps are compared, seed by seed, with
those of as many random neurons of the same seed, and with those of all neurons: geometric mean of the ratio and
two-sided p by all changes of sign (`analysis.order.paired`), over the seeds of which both grok. `--whole`: a sweep
of the same settings without masks, where that of the masks has no runs of all neurons. `--figure`: of accuracies.
"""

import argparse
import pathlib

import numpy as np
import xarray as xr

import collapse_jax
from collapse_jax.analysis import timescales
from collapse_jax.analysis.order import paired
from collapse_jax.experiment.points import value_text
from collapse_jax.figures import FIGURES
from collapse_jax.workdir.join import select_part

EQUAL = {"subnetwork": "random", "inverse": "random_inverse"}


def neurons(file: str, seeds: np.ndarray) -> str:
    """Say how many neurons the masks of a file keep, for some seeds."""
    if not pathlib.Path(file).is_file():
        return "all"
    with np.load(file) as archive:
        kept = archive["hidden_0/kernel"].sum(axis=(1, 2))[np.isin(archive["seed"], seeds)]
    return f"{kept.min():.0f} to {kept.max():.0f}"


def compared(first: np.ndarray, second: np.ndarray) -> str:
    """Say the ratio of two arrays of steps, seed by seed, and its p."""
    both = np.isfinite(first) & np.isfinite(second)
    if not both.any():
        return "-"
    ratio = np.exp(np.mean(np.log(first[both] / second[both])))
    return f"{ratio:.2f}, p = {paired(first, second):.2g} ({both.sum()} seeds)"


def with_all_neurons(results: xr.Dataset, whole: xr.Dataset) -> xr.Dataset:
    """Return results of masks with the same runs of a sweep without, as those of the mask "", up to their end.

    Raises:
      KeyError: it lacks one of the runs.
    """
    same = {name: results[name] for name in whole["diverged_at"].dims}
    known = [name for name in results.data_vars if name in whole]
    whole = whole.sel(same)[known].sel(step=slice(None, int(results["step"].max())))
    return xr.concat([whole.expand_dims(mask=[""]), results], "mask", join="outer", combine_attrs="override")


def table(results: xr.Dataset) -> list[list[str]]:
    """Return a row for each mask."""
    steps, ends = {}, {}
    for mask in results["mask"].values.tolist():
        part = select_part(results, {"mask": mask})
        if "test_accuracy" not in part:
            continue  # it has not begun
        part = part.dropna("step", how="all", subset=["test_accuracy"])
        taus = timescales(part)
        steps[mask] = np.where(taus["grok_censored"], np.nan, taus["tau_grok"]).ravel()
        ends[mask] = part["test_accuracy"].isel(step=-1).values.ravel()
    by_name = {value_text(mask): mask for mask in steps}
    rows = []
    for name, mask in by_name.items():
        own = steps[mask][np.isfinite(steps[mask])]
        when = f"{np.exp(np.log(own).mean()):.0f} ({own.min():.0f} to {own.max():.0f})" if len(own) else "-"
        equal, whole = (
            compared(steps[mask], steps[by_name[other]]) if other in by_name and other != name else "-"
            for other in (EQUAL.get(name, ""), "none")
        )
        rows.append(
            [
                name,
                neurons(mask, results["seed"].values),
                f"{len(own)}/{len(steps[mask])}",
                when,
                f"{ends[mask].mean():.3f}",
            ]
        )
        rows[-1] += [equal, whole]
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--whole")
    parser.add_argument("--figure")
    arguments = parser.parse_args()
    results = collapse_jax.open_results(arguments.workdir)
    if arguments.whole:
        results = with_all_neurons(results, collapse_jax.open_results(arguments.whole))
    if arguments.figure:
        FIGURES["accuracy"](results).savefig(arguments.figure, dpi=150)
    names = [
        "mask",
        "neurons",
        "grok",
        "at step",
        "test accuracy",
        "against random, as many",
        "against all neurons",
    ]
    rows = [names, *table(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
