"""The page: what stands on it, as `templates/page.html.j2` arranges it. One file that needs no other."""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Any

import jinja2

from collapse_jax.experiment.points import axis_text
from collapse_jax.reporting.cautions import cautions, comparison_cautions
from collapse_jax.reporting.configuration import configuration
from collapse_jax.reporting.figures import figures
from collapse_jax.reporting.numbers import definitions, rates, runs, settings, slopes
from collapse_jax.reporting.provenance import provenance, variables
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.reporting.tables import spread

PARTS = ("Warnings", "Time scales and last values", "Figures", "Runs", "Config", "Provenance", "Variables")


def templates() -> jinja2.Environment:
    """Return the templates: all that they are given is text, and escaped."""
    loader = jinja2.PackageLoader(__package__ or "collapse_jax.reporting")
    found = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    found.filters |= {"spread": spread, "anchor": anchor, "headline": headline}
    found.filters |= {"digest": digest, "packed": packed}
    return found


def page(sweeps: Sequence[Sweep], trust: bool = False) -> str:
    """Write the whole HTML file of one sweep, or of several side by side."""
    drawings, not_drawn = figures(sweeps, trust)
    found = templates()
    assert found.loader is not None
    script, _, _ = found.loader.get_source(found, "page.js")
    text = found.get_template("page.html.j2").render(
        script=script,
        title=sweeps[0].experiment.name if len(sweeps) == 1 else " | ".join(sweep.name for sweep in sweeps),
        parts=PARTS,
        sweeps=sweeps,
        shared_warnings=comparison_cautions(sweeps),
        warnings={sweep.name: cautions(sweep) for sweep in sweeps},
        settings=settings(sweeps),
        definitions=definitions(sweeps),
        rates=rates(sweeps),
        slopes=slopes(sweeps),
        drawings=drawings,
        not_drawn=not_drawn,
        runs=runs(sweeps),
        config=configuration(sweeps),
        provenance=provenance(sweeps),
        variables=variables(sweeps),
    )
    return f"{text}\n"


def digest(script: str) -> str:
    """Return what the page's policy calls its one script: so nothing else runs, and nothing is loaded."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def packed(values: dict[str, Any]) -> str:
    """Write values as JSON, deflated and in base64: a third of the space."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def anchor(title: str) -> str:
    """Return the name by which a part is linked to."""
    return title.lower().replace(" ", "-")


def headline(sweep: Sweep) -> str:
    """Say in one line how large a sweep is and how far: "30 runs (6 weight decays × 5 seeds) × 100,000 steps"."""
    dims = sweep.results["diverged_at"]
    shape = " × ".join(_counted(dims.sizes[d], str(d)) for d in dims.dims if d != "run")
    size = f"{_counted(sweep.runs, 'run')}{f' ({shape})' if shape else ''} × {sweep.experiment.steps:,} steps"
    open_ = len(sweep.unfinished)
    diverged = int((sweep.summary.diverged_at >= 0).sum())
    state = f"{sweep.runs - open_} finished" if open_ else "finished"
    ends = {"diverged": diverged, "retired by the stop rule": int((sweep.summary.retired_at >= 0).sum())}
    return f"{', '.join([size, state, *(f'{count} {how}' for how, count in ends.items() if count)])}."


def _counted(count: int, name: str) -> str:
    plural = "" if count == 1 else "es" if name.endswith("s") else "s"
    return f"{count:,} {axis_text(name)}{plural}"
