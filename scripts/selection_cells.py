"""One table and one figure of several sweeps of token selection, each of one dimension and signal.

    python scripts/selection_cells.py --workdirs=runs/harmful,runs/benign,runs/large_signal --target=figures

Prints, as a table, mean and range over the seeds of the last values, and of the statistic S of arXiv 2409.17625
(sum over the steps of s (1 - s), s the attention on the relevant token); draws the figures `attention` and
`selection_losses` with a panel for each sweep.
"""

import argparse
import pathlib

import xarray as xr

import collapse_jax
from collapse_jax.analysis.cumulative import cumulative
from collapse_jax.figures import FIGURES, save

AXES = ("dimension", "signal_norm", "seed")
COLUMNS = {
    "train acc": "train_accuracy",
    "train loss": "train_loss",
    "test acc": "test_accuracy",
    "test loss": "test_loss",
    "clean, relevant": "attention_clean relevant",
    "noisy, relevant": "attention_noisy relevant",
    "noisy, opposing": "attention_noisy opposing",
    "noisy, irrelevant": "attention_noisy irrelevant",
    "S clean": "undecided_clean sum",
    "S noisy": "undecided_noisy sum",
    "RNC1": "rnc1",
    "RNC1 test": "rnc1_test",
}


def main() -> None:
    """Read, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdirs", required=True, help="separated by commas")
    parser.add_argument("--target", type=pathlib.Path, required=True, help="folder of the figures")
    arguments = parser.parse_args()
    sweeps = [flat(collapse_jax.open_results(folder)) for folder in arguments.workdirs.split(",")]
    print("| d, signal | seeds | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 2) + "|")
    for sweep in sweeps:
        cell = f"{sweep.dimension.values[0]}, {sweep.signal_norm.values[0]:g}"
        print(
            f"| {cell} | {sweep.sizes['run']} | "
            + " | ".join(text(sweep, name) for name in COLUMNS.values())
            + " |"
        )
    joined = xr.concat(sweeps, "run", join="outer", combine_attrs="drop_conflicts")  # sweeps may log other steps
    for name in ("attention", "selection_losses"):
        save(FIGURES[name](joined), arguments.target / name)


def flat(results: xr.Dataset) -> xr.Dataset:
    """Return the runs of a sweep along the dimension `run`."""
    lifted = results.squeeze("weight_decay", drop=True)
    lifted = lifted.expand_dims([name for name in AXES if name not in lifted.dims])
    stacked = lifted.stack(run=AXES)
    points = {name: ("run", stacked[name].values) for name in AXES}
    return stacked.drop_vars(["run", *AXES]).assign_coords(points)


def text(sweep: xr.Dataset, name: str) -> str:
    """Return mean and range over the runs."""
    variable, _, what = name.partition(" ")
    if variable not in sweep:  # not measured
        return "-"
    values = cumulative(sweep[variable]) if what == "sum" else sweep[variable]
    values = values.sel(token_kind=what) if "token_kind" in values.dims else values
    last = values.isel(step=-1).values
    digits = 1 if what == "sum" else 3
    return f"{last.mean():.{digits}f} [{last.min():.{digits}f}, {last.max():.{digits}f}]"


if __name__ == "__main__":
    main()
