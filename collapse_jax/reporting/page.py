"""The page: its head, its parts in order, its style. One file that needs no other."""

import importlib.resources
from collections.abc import Sequence

from collapse_jax.reporting.cautions import cautions, comparison_cautions
from collapse_jax.reporting.configuration import configuration
from collapse_jax.reporting.figures import figures
from collapse_jax.reporting.markup import Markup, anchor, paragraph, section, tag
from collapse_jax.reporting.numbers import numbers, runs
from collapse_jax.reporting.provenance import provenance, variables
from collapse_jax.reporting.sweeps import Sweep

PARTS = ("Warnings", "Time scales and last values", "Figures", "Runs", "Config", "Provenance", "Variables")


def page(sweeps: Sequence[Sweep]) -> str:
    """Write the whole HTML file of one sweep, or of several side by side."""
    title = sweeps[0].experiment.name if len(sweeps) == 1 else " | ".join(sweep.name for sweep in sweeps)
    style = importlib.resources.files(__package__).joinpath("page.css").read_text()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), [_lead(sweep, len(sweeps)) for sweep in sweeps]),
        tag(
            "nav",
            tag("ul", [tag("li", tag("a", part, href=f"#{anchor(part)}")) for part in PARTS]),
            aria_label="Parts",
        ),
        tag(
            "main",
            _warnings(sweeps),
            numbers(sweeps),
            figures(sweeps),
            runs(sweeps),
            configuration(sweeps),
            provenance(sweeps),
            variables(sweeps),
        ),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _lead(sweep: Sweep, count: int) -> Markup:
    name = tag("strong", sweep.name, ": ") if count > 1 else None
    title = f"{sweep.experiment.name}. " if count > 1 else None
    return paragraph(name, title, headline(sweep), class_="lead")


def headline(sweep: Sweep) -> str:
    """Say in one line how large a sweep is and how far: "30 runs (6 weight decays × 5 seeds) × 100,000 steps"."""
    dims = sweep.results["diverged_at"]
    shape = " × ".join(_counted(dims.sizes[d], str(d)) for d in dims.dims if d != "run")
    size = f"{_counted(sweep.runs, 'run')}{f' ({shape})' if shape else ''} × {sweep.experiment.steps:,} steps"
    open_ = len(sweep.unfinished)
    diverged = int((sweep.summary.diverged_at >= 0).sum())
    state = f"{sweep.runs - open_} finished" if open_ else "finished"
    return f"{size}, {state}{f', {diverged} diverged' if diverged else ''}."


def _counted(count: int, name: str) -> str:
    plural = "" if count == 1 else "es" if name.endswith("s") else "s"
    return f"{count:,} {name.replace('_', ' ')}{plural}"


def _warnings(sweeps: Sequence[Sweep]) -> Markup:
    shared = comparison_cautions(sweeps)
    blocks = [
        tag("div", tag("h3", sweep.name) if len(sweeps) > 1 else None, _list(cautions(sweep))) for sweep in sweeps
    ]
    return section(
        PARTS[0],
        tag("div", _list(shared), class_="warnings") if shared else None,
        tag("div", blocks, class_="columns warnings"),
    )


def _list(lines: Sequence[str]) -> Markup:
    return tag("ul", [tag("li", line) for line in lines]) if lines else paragraph("None.")
