"""The card of a published folder: README.md with YAML front matter, as data hubs show it."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from collapse_jax.analysis import tables
from collapse_jax.analysis.summary import summarise
from collapse_jax.reporting.cautions import cautions
from collapse_jax.reporting.provenance import variables
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.system.version import own_version

CITATION = "CITATION.cff"
SOURCE = "https://arxiv.org/abs/2509.20829"


def card(sweep: Sweep, record: Mapping[str, Any], drawn: Sequence[tuple[str, str]], licence: str) -> str:
    """Return the text of the card.

    Args:
      sweep: what is published, its results as they are published.
      record: of `provenance.json`.
      drawn: files of figures, from the folder, and their names.
      licence: of the results.
    """
    title = sweep.experiment.name or "A sweep of collapse_jax"
    parts = [
        front_matter(title, licence, sweep.runs),
        f"# {title}\n",
        _what(sweep),
        _first(sweep),
        _table(sweep),
        _pictures(drawn),
        _read(),
        _variables(sweep),
        _trained(record),
        _cite(),
        f"## Licence\n\n{licence}\n",
    ]
    return "\n".join(filter(None, parts))


def front_matter(title: str, licence: str, runs: int) -> str:
    """Return the block of YAML that hubs read."""
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    size = "n<1K" if runs < 1000 else "1K<n<10K" if runs < 10_000 else "10K<n<100K"
    lines = ["---", f'pretty_name: "{quoted}"', f"license: {licence}", "tags:"]
    lines += [f"- {tag}" for tag in ("training-dynamics", "grokking", "neural-collapse", "jax", "netcdf")]
    return "\n".join([*lines, "size_categories:", f"- {size}", "---", ""])


def _what(sweep: Sweep) -> str:
    results = sweep.results
    sizes = ", ".join(f"{name} {size}" for name, size in results.sizes.items())
    ended = f", {len(sweep.unfinished)} of them unfinished" if sweep.unfinished else ""
    return (
        f"{sweep.runs} runs{ended}, {sweep.experiment.steps:,} steps each, trained by collapse_jax as one grid. "
        f"`results.nc`: {len(results.data_vars)} variables over {sizes}.\n"
    )


def _first(sweep: Sweep) -> str:
    found = [caution for caution in cautions(sweep) if str(sweep.workdir) not in caution]
    return "## Read this first\n\n" + "".join(f"* {one}\n" for one in found) if found else ""


def _table(sweep: Sweep) -> str:
    summary = summarise(sweep.results, sweep.thresholds)
    events = "\n".join(f"* {line}" for line in tables.definitions(summary, sweep.thresholds))
    rows = tabulate(tables.setting_rows(summary), headers="firstrow", tablefmt="github", disable_numparse=True)
    return f"## Settings\n\n{rows}\n\n{events}\n"


def _pictures(drawn: Sequence[tuple[str, str]]) -> str:
    return "## Figures\n\n" + "\n\n".join(f"![{name}]({file})" for file, name in drawn) + "\n" if drawn else ""


def _read() -> str:
    return """## Read it

```python
import collapse_jax

results = collapse_jax.open_results("FOLDER or https URL of it")  # an xarray.Dataset
collapse_jax.timescales(results)
```

`xarray.open_dataset("results.nc", engine="h5netcdf")` reads it without that package. `sha256sum -c SHA256SUMS`
verifies the folder; `python -m collapse_jax train --config=config.py --workdir=runs/again` trains it again.
"""


def _variables(sweep: Sweep) -> str:
    rows = []
    for _, table in variables([sweep]):
        shown = [table.header.index(name) for name in ("variable", "name", "units", "definition", "measured")]
        rows += [[_cell(row[at]) for at in shown] for row in table.rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## Variables\n\n| variable | name | unit | definition | measured |\n|---|---|---|---|---|\n{lines}\n"


def _cell(text: Any) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _trained(record: Mapping[str, Any]) -> str:
    lines = []
    for part in record["parts"]:
        for origin in part["trained_by"]:
            versions = ", ".join(f"{name} {version}" for name, version in (origin.get("versions") or {}).items())
            since = f" from step {origin['step']}" if origin.get("step") else ""
            lines.append(f"* {origin.get('device', '?')}, {origin.get('machine', '?')}{since}: {versions}")
    return "## Trained with\n\n" + "\n".join(dict.fromkeys(lines)) + "\n" if lines else ""


def _cite() -> str:
    return f"## Cite\n\n```yaml\n{citation().strip()}\n```\n"


def citation() -> str:
    """Return CITATION.cff of the package: of the checkout, or as the wheel holds it."""
    here = pathlib.Path(__file__).parents[1]
    for path in (here / "data" / CITATION, here.parent / CITATION):
        if path.is_file():
            return re.sub(r"^version:.*$", f"version: {own_version()}", path.read_text("utf-8"), flags=re.MULTILINE)
    return f"title: collapse_jax\nversion: {own_version()}\nurl: {SOURCE}\n"
