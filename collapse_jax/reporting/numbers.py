"""Time scales, last values and slopes as tables: of one sweep by setting, of several side by side."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from collapse_jax.analysis import tables
from collapse_jax.analysis.events import EVENTS
from collapse_jax.experiment import identity
from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.points import point_text, value_text
from collapse_jax.reporting.markup import Markup, details, join, paragraph, section, table, tag
from collapse_jax.reporting.sweeps import Sweep


def numbers(sweeps: Sequence[Sweep]) -> Markup:
    """Build the part of time scales and last values."""
    shown = _settings(sweeps[0]) if len(sweeps) == 1 else _compared(sweeps)
    return section(
        "Time scales and last values",
        shown,
        paragraph(
            "Mean and range from lowest to highest seed, of time scales the geometric mean in steps; last values "
            "leave out the runs that diverged. A value "
            "after > is a lower bound, because a run had not crossed by its last step.",
            class_="note",
        ),
        _definitions(sweeps),
        _slopes(sweeps),
    )


def _settings(sweep: Sweep) -> Markup:
    header, *rows = tables.setting_rows(sweep.summary)
    names = len(header) - len(tables.setting_quantities(sweep.summary))
    if names == len(header):
        return paragraph("The results hold no accuracy and no RNC1, so there are no time scales.")
    cells = [[*row[:names], *map(_cell, row[names:])] for row in rows]
    return table("Settings: mean and range of the seeds", header, cells, names=names, class_="numbers")


def _cell(text: str) -> Markup:
    """Put what follows a mean, such as the range of the seeds, below it, so that tables stay narrow."""
    found = re.search(r" [\[(]", text)
    mean, rest = (text[: found.start()], text[found.start() :]) if found else (text, "")
    return join(mean, tag("span", rest, class_="range") if rest else None)


def _compared(sweeps: Sequence[Sweep]) -> Markup:
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
    settings = sorted(found, key=lambda key: [(isinstance(value, str), value) for value in key])
    rows = []
    for quantity in quantities:
        for key in settings:
            cells = [
                _cell(tables.setting_text(sweep.summary, quantity, found[key][sweep.name]))
                if sweep.name in found[key] and quantity in tables.setting_quantities(sweep.summary)
                else ""
                for sweep in sweeps
            ]
            if any(cells):
                rows.append([quantity, *map(value_text, key), *cells])
    header = ["quantity", *(axis.replace("_", " ") for axis in axes), *(sweep.name for sweep in sweeps)]
    return table("Settings, side by side", header, rows, names=1 + len(axes), class_="numbers")


def _coordinate(sweep: Sweep, point: Mapping[str, Any], axis: str) -> Any:
    """The value of an axis that another sweep of the report varies, and this one may hold fixed."""
    if axis in point:
        return point[axis]
    if axis in sweep.results.coords and sweep.results[axis].ndim == 0:
        return sweep.results[axis].item()
    fields = identity.flatten(sweep.experiment)
    return fields.get(AXES[axis].field if axis in AXES else axis, "-")


def _definitions(sweeps: Sequence[Sweep]) -> Markup:
    """What ends each phase; sweeps that agree say it once."""
    lines: dict[str, list[str]] = {}
    for sweep in sweeps:
        for name in sweep.summary.times:
            event = EVENTS[name]
            text = f"{event.tau}: steps until {event.condition(sweep.experiment.thresholds)}"
            lines.setdefault(text, []).append(sweep.name)
    items = [text if len(names) == len(sweeps) else f"{text} ({', '.join(names)})" for text, names in lines.items()]
    return tag("ul", [tag("li", item) for item in items], class_="note") if items else Markup()


def _slopes(sweeps: Sequence[Sweep]) -> Markup | None:
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for sweep in sweeps:
        for fit in sweep.summary.slopes:
            text = tables.slope_text(fit)
            text += f"; {fit.censored} of {fit.runs} censored" if fit.censored else ""
            key = (fit.tau, point_text(fit.point), f"{fit.theory:g}")
            rows.setdefault(key, {})[sweep.name] = text
    if not rows:
        return None
    located = any(at for _, at, _ in rows)
    header = ["time scale", *(["at"] if located else []), "theory"]
    header += ["slope"] if len(sweeps) == 1 else [sweep.name for sweep in sweeps]
    return join(
        tag("h3", "Slopes against weight decay"),
        table(
            "d log tau / d log weight decay, with 95 % bootstrap interval over seeds",
            header,
            [
                [tau, *([at] if located else []), theory, *(_cell(found.get(sweep.name, "")) for sweep in sweeps)]
                for (tau, at, theory), found in rows.items()
            ],
            names=1 + located,
            class_="numbers",
        ),
        paragraph(
            "Censored runs enter through the probability of a time beyond their last step. Theory: "
            "arXiv 2509.20829, Theorem 4.3, proved for full-batch gradient descent.",
            class_="note",
        ),
    )


def runs(sweeps: Sequence[Sweep]) -> Markup:
    """Build the part that lists every run."""
    parts = []
    for sweep in sweeps:
        header, *rows = tables.run_rows(sweep.summary)
        caption = "All runs" if len(sweeps) == 1 else f"All runs of {sweep.name}"
        shown = table(caption, header, rows, names=len(sweep.summary.axes), class_="numbers")
        parts.append(details(f"{caption} ({sweep.runs})", shown))
    return section("Runs", parts)
