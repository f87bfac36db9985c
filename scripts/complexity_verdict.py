"""When complexity rises and falls in the runs of some sweeps, and what of arXiv 2412.09810 holds over their seeds.

    python scripts/complexity_verdict.py --workdirs=runs/addition,runs/addition_plain --figure=complexity.png

Every setting (runs that differ in the seed only): mean (lowest to highest) over seeds. Complexity is that at the
measured distortion nearest to `--distortion`. A run falls between two of its measured steps, (a, b]: after its
peak, b is the first step from which on it stays below the mean of peak and end; it does not fall where the end is
more than 0.8 of the peak. Generalisation (and collapse) lie between two of its logged steps, in the same way.
"before", "within" and "after" count the runs whose fall lies before, overlaps or lies after that interval. Settings
of one task are then compared at the steps measured of both, from the fit of both on. The figure has a row of panels
for each task, all its settings in each: `--variables=test_accuracy,complexity` by default, and whatever else was
measured (docs/complexity.md names the figures of the paper).
"""

import argparse
import json
import pathlib

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import collapse_jax
from collapse_jax.analysis import timescales
from collapse_jax.analysis.groups import groups_of, points_of, take
from collapse_jax.figures import series as lines
from collapse_jax.figures import style
from collapse_jax.figures.complexity import log_fit

FALLEN = 0.8  # of the peak: with more at the end, nothing has fallen
REGULARISERS = ("weight_noise", "spectral_entropy")
EVENTS = ("fit", "grok", "collapse")
VARIABLES = ("test_accuracy", "complexity")
BESIDE = {"test_accuracy": {"train_accuracy": "--", "rnc1": ":"}}  # drawn in the same panel, as far as logged
COLOURS = ("#d55e00", "#0072b2", "#4d4d4d", "#009e73")


class Setting:
    """The runs of one setting: `logged` at all steps, `runs` where complexity is known."""

    def __init__(self, results: xr.Dataset, taus: xr.Dataset, point: dict, members: list[int], distortion: float):
        self.experiment = json.loads(results.attrs["experiment"])
        task = self.experiment["task"]
        self.task = task.get("operation") or task["dataset"]
        noisy = any(float(results.coords.get(name, 0)) > 0 for name in REGULARISERS)
        decay = float(point.get("weight_decay", results["weight_decay"]))
        self.name = f"weight decay {decay:g}" + (", regularised" if noisy else "") if decay or noisy else "none"
        self.taus = take(taus.expand_dims(step=1), members).isel(step=0)
        logged = take(results, members)
        nearest = int(np.abs(np.log(results["distortion"].values / distortion)).argmin())
        self.logged = logged.isel(distortion=nearest)
        self.steps, self.complexity = self.rows("complexity")
        self.runs = logged.sel(step=self.steps)

    def rows(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps [T] at which all runs have a variable, at the one distortion, and its values [R, T]."""
        values = self.logged[name].transpose("run", "step").values
        known = np.isfinite(values).all(axis=0)
        return self.logged["step"].values[known], values[:, known]

    def interval(self, event: str) -> np.ndarray | None:
        """[R, 2] between which steps an event happened; infinite where it has not, None where it is not defined."""
        if f"tau_{event}" not in self.taus:
            return None
        return np.stack([self.taus[f"{event}_{end}"].values for end in ("lower", "upper")], axis=1)

    def falls(self) -> np.ndarray:
        """[R, 2] between which measured steps each run falls; infinite where it does not."""
        return np.array([fall(self.steps, row) for row in self.complexity])


def fall(steps: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return the measured steps (a, b] between which a run falls; infinite where it does not."""
    peak = int(sizes.argmax())
    if sizes[-1] > FALLEN * sizes[peak]:
        return float(steps[-1]), float("inf")
    above = np.flatnonzero(sizes > (sizes[peak] + sizes[-1]) / 2)
    return float(steps[above[-1]]), float(steps[above[-1] + 1])


def order(first: np.ndarray, second: np.ndarray) -> str:
    """Count the runs whose first interval lies before the second one, overlaps it, or lies after it."""
    both = np.isfinite(first[:, 1]) & np.isfinite(second[:, 1])
    before, after = (first[:, 1] <= second[:, 0])[both], (first[:, 0] >= second[:, 1])[both]
    return f"{before.sum()} before, {both.sum() - before.sum() - after.sum()} within, {after.sum()} after"


def band(values: np.ndarray, scale: float = 1.0) -> str:
    """Mean, lowest and highest."""
    values = np.asarray(values, np.float64) * scale
    if not np.isfinite(values).all():
        return f"{np.isfinite(values).sum()} of {values.size} runs: {', '.join(f'{v:.4g}' for v in values)}"
    return f"{values.mean():.4g} ({values.min():.4g} to {values.max():.4g})"


def read(workdir: str, distortion: float) -> list[Setting]:
    """Return the settings of a sweep."""
    results = collapse_jax.open_results(workdir)
    taus = timescales(results)
    return [Setting(results, taus, *group, distortion) for group in groups_of(points_of(results))]


def tell(setting: Setting) -> None:
    """Print what happened in the runs of a setting."""
    sizes, steps, falls = setting.complexity, setting.steps, setting.falls()
    print(f"\n{setting.task}, {setting.name}: {len(sizes)} runs, {int(setting.logged['step'][-1])} steps")
    for event in EVENTS:
        found = setting.interval(event)
        if found is not None:
            print(f"  {event:<9} at step {band(np.where(np.isfinite(found[:, 1]), found.mean(axis=1), np.inf))}")
    accuracy = setting.logged["test_accuracy"].isel(step=-1).values
    print(f"  test accuracy at the end {band(accuracy)}")
    peak = sizes.max(axis=1)
    print(f"  complexity in kB: first {band(sizes[:, 0], 1e-3)}, peak {band(peak, 1e-3)}", end="")
    print(f" at step {band(steps[sizes.argmax(axis=1)])}, end {band(sizes[:, -1], 1e-3)}")
    print(f"  end / peak {band(sizes[:, -1] / peak)}")
    print(f"  falls between {', '.join(f'{a:.0f} and {b:.0f}' for a, b in falls)}")
    for event in EVENTS[1:]:
        found = setting.interval(event)
        if found is None:
            continue
        happened = np.isfinite(found[:, 1]) & np.isfinite(falls[:, 1])
        if not happened.any():
            continue
        print(f"  fall against {event}: {order(falls, found)}", end="; ")
        at = found[happened].mean(axis=1)
        rows = zip(at, sizes[happened], strict=True)
        there = np.array([np.interp(np.log(step), np.log(steps[1:]), row[1:]) for step, row in rows])
        done = (peak[happened] - there) / (peak[happened] - sizes[happened, -1])
        print(f"share of the fall that is over by then {band(done)}")
    last = setting.runs["complexity"].isel(step=-1).transpose("run", "distortion")
    fits = np.array([log_fit(last["distortion"].values.astype(np.float64), row) for row in last.values])
    a, b = (band(fits[:, i], 1e-3) for i in range(2))
    print(f"  rate at the end in kB: {a} ln d + {b}, R2 {band(fits[:, 2])}")
    fitted = steps >= setting.interval("fit")[:, 1].max() if setting.interval("fit") is not None else steps > 0
    if fitted.any():
        gap = setting.rows("complexity_gap")[1][:, fitted]
        print(f"  bound on the gap from the fit on: lowest {band(gap.min(axis=1))}")
    if "weight_effective_rank_mean" in setting.runs:
        ranks = setting.runs["weight_effective_rank_mean"].transpose("run", "step").values
        print(f"  mean effective rank: first {band(ranks[:, 0])}, end {band(ranks[:, -1])}")
    quantised = setting.runs["quantised_complexity"].isel(step=-1).sel(distortion=1, method="nearest").values
    naive = setting.runs["naive_size"].transpose("run", "step").values
    print(f"  kB at the end by quantisation alone {band(quantised, 1e-3)}; unquantised {band(naive, 1e-3)}")


def compare(one: Setting, other: Setting) -> None:
    """Print at how many (seed, step) pairs one setting is smaller than another."""
    fitted = [setting.interval("fit") for setting in (one, other)]
    begin = max(found[:, 1].max() if found is not None else 0 for found in fitted)
    common = [step for step in one.steps if step in set(other.steps) and step >= begin]
    if not common:
        return
    a, b = (s.complexity[:, np.searchsorted(s.steps, common)] for s in (one, other))
    ratio = a.mean(axis=0) / b.mean(axis=0)
    print(
        f"{one.task}: {one.name} is smaller than {other.name} at {(a < b).sum()} of {a.size} (seed, step) pairs, "
        f"steps {common[0]} to {common[-1]}; ratio of means {ratio.min():.3g} to {ratio.max():.3g}"
    )


def draw(tasks: dict[str, list[Setting]], variables: tuple[str, ...], file: str) -> None:
    """Draw the variables of every setting, a row for each task and a column for each variable."""
    figure = style.new_figure(1.2 + 4.2 * len(variables), 1.2 + 2.5 * len(tasks))
    grid = figure.subplots(len(tasks), len(variables), squeeze=False, sharex=True)
    for (task, settings), row in zip(tasks.items(), grid, strict=True):
        for name, axes in zip(variables, row, strict=True):
            _panel(axes, settings, name)
            axes.set_title(f"{task}: {style.label(settings[0].logged, name)}", fontsize=8.5)
        row[-1].legend(fontsize=7.5)
    beside = "; dashed train accuracy, dotted RNC1 where it was logged" if "test_accuracy" in variables else ""
    style.heading(figure, "Complexity over training", f"Mean and range over seeds{beside}.")
    figure.savefig(pathlib.Path(file), dpi=90)


def _panel(axes: Axes, settings: list[Setting], variable: str) -> None:
    for setting, colour in zip(settings, COLOURS, strict=False):
        for name, look in {variable: "-", **BESIDE.get(variable, {})}.items():
            if name not in setting.logged:
                continue
            steps, rows = setting.rows(name)
            mean, low, high = lines.mean_and_range(rows, False)
            label = setting.name if name == variable else None
            axes.plot(steps, mean, look, color=colour, label=label, gid=name, alpha=1 if look == "-" else 0.6)
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    style.from_zero(axes)
    style.step_axis(axes, settings[0].logged["step"].values)


def main() -> None:
    """Print, and draw where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdirs", required=True, type=lambda text: text.split(","))
    parser.add_argument("--distortion", type=float, default=1.0)
    parser.add_argument("--figure", default="")
    parser.add_argument("--variables", type=lambda text: tuple(text.split(",")), default=VARIABLES)
    arguments = parser.parse_args()
    tasks: dict[str, list[Setting]] = {}
    for workdir in arguments.workdirs:
        for setting in read(workdir, arguments.distortion):
            tasks.setdefault(setting.task, []).append(setting)
            tell(setting)
    print()
    for settings in tasks.values():
        for other in settings[1:]:
            compare(settings[0], other)
    if arguments.figure:
        draw(tasks, arguments.variables, arguments.figure)


if __name__ == "__main__":
    main()
