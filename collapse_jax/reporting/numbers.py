"""Time scales, last values and slopes as tables: of one sweep by setting, of several side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from collapse_jax.analysis import tables
from collapse_jax.experiment import identity
from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.points import axis_text, point_text, value_text
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.reporting.tables import Table


def settings(sweeps: Sequence[Sweep]) -> Table | None:
    """Build the table of time scales and last values; None where there are none."""
    return _settings(sweeps[0]) if len(sweeps) == 1 else _compared(sweeps)


def _settings(sweep: Sweep) -> Table | None:
    header, *rows = tables.setting_rows(sweep.summary)
    names = len(header) - len(tables.setting_quantities(sweep.summary))
    if names == len(header):
        return None
    return Table("Settings: mean and range of the seeds", header, rows, names, "numbers")


def _compared(sweeps: Sequence[Sweep]) -> Table:
    """One row per quantity and setting, one column per sweep."""
    quantities = list(dict.fromkeys(q for sweep in sweeps for q in tables.setting_quantities(sweep.summary)))
    # A setting is the same in two sweeps when the axes that any of them sweeps have the same values.
    axes = list(dict.fromkeys(axis for sweep in sweeps for axis in sweep.summary.axes if axis != "seed"))
    found: dict[tuple, dict[str, list[int]]] = {}
    for sweep in sweeps:
        for point, runs in sweep.summary.settings():
            key = tuple(_coordinate(sweep, point, axis) for axis in axes)
            found.setdefault(key, {}).setdefault(sweep.name, []).extend(runs)
    # Numbers by size, after them words.
    ordered = sorted(found, key=lambda key: [(isinstance(value, str), value) for value in key])
    rows = []
    for quantity in quantities:
        for key in ordered:
            cells = [
                tables.setting_text(sweep.summary, quantity, found[key][sweep.name])
                if sweep.name in found[key] and quantity in tables.setting_quantities(sweep.summary)
                else ""
                for sweep in sweeps
            ]
            if any(cells):
                rows.append([quantity, *map(value_text, key), *cells])
    header = ["quantity", *map(axis_text, axes), *(sweep.name for sweep in sweeps)]
    return Table("Settings, side by side", header, rows, 1 + len(axes), "numbers")


def _coordinate(sweep: Sweep, point: Mapping[str, Any], axis: str) -> Any:
    """The value of an axis that another sweep of the report varies, and this one may hold fixed."""
    if axis in point:
        return point[axis]
    if axis in sweep.results.coords and sweep.results[axis].ndim == 0:
        return sweep.results[axis].item()
    fields = identity.flatten(sweep.experiment)
    return fields.get(AXES[axis].field if axis in AXES else axis, "-")


def definitions(sweeps: Sequence[Sweep]) -> list[str]:
    """Say what ends each time scale; sweeps that agree say it once."""
    lines: dict[str, list[str]] = {}
    for sweep in sweeps:
        for text in tables.definitions(sweep.summary, sweep.thresholds):
            lines.setdefault(text, []).append(sweep.name)
    return [text if len(names) == len(sweeps) else f"{text} ({', '.join(names)})" for text, names in lines.items()]


class Rates(NamedTuple):
    """To how many runs of a sweep events happen, and what tests say of their settings."""

    table: Table
    tests: list[str]


def rates(sweeps: Sequence[Sweep]) -> list[Rates]:
    """Build the tables of rates and medians, of the sweeps whose settings have several runs."""
    found = []
    for sweep in sweeps:
        if max(len(runs) for _, runs in sweep.summary.settings()) > 1 and sweep.summary.times:
            header, *rows = tables.survival_rows(sweep.summary)
            caption = "Runs to which events happen" + (f": {sweep.name}" if len(sweeps) > 1 else "")
            names = len(header) - 3
            found.append(Rates(Table(caption, header, rows, names, "numbers"), tables.tests_of(sweep.summary)))
    return found


class Slopes(NamedTuple):
    """The slopes of the time scales, and the axis against which they are fitted."""

    against: str
    table: Table


def slopes(sweeps: Sequence[Sweep]) -> Slopes | None:
    """Build the table of slopes; None where none can be fitted."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for sweep in sweeps:
        for fit in sweep.summary.slopes:
            text = tables.slope_text(fit)
            text += f"; {fit.censored} of {fit.runs} censored" if fit.censored else ""
            key = (fit.tau, point_text(fit.point), f"{fit.theory:g}")
            rows.setdefault(key, {})[sweep.name] = text
    if not rows:
        return None
    against = " or ".join(dict.fromkeys(axis_text(fit.axis) for sweep in sweeps for fit in sweep.summary.slopes))
    located = any(at for _, at, _ in rows)
    header = ["time scale", *(["at"] if located else []), "theory"]
    header += ["slope"] if len(sweeps) == 1 else [sweep.name for sweep in sweeps]
    cells = [
        [tau, *([at] if located else []), theory, *(found.get(sweep.name, "") for sweep in sweeps)]
        for (tau, at, theory), found in rows.items()
    ]
    caption = f"d log tau / d log {against}, with 95 % interval: t(S - 1) x jackknife over S seeds"
    return Slopes(against, Table(caption, header, cells, 1 + located, "numbers"))


def runs(sweeps: Sequence[Sweep]) -> list[tuple[str, Table]]:
    """Build the tables that list every run, with a heading each."""
    parts = []
    for sweep in sweeps:
        header, *rows = tables.run_rows(sweep.summary)
        caption = "All runs" if len(sweeps) == 1 else f"All runs of {sweep.name}"
        shown = Table(caption, header, rows, len(sweep.summary.axes), "numbers")
        parts.append((f"{caption} ({sweep.runs})", shown))
    return parts
