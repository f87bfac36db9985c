"""The handbook of measures, a page for each family, of the registry, docstrings, docs/measures.md and the tests."""

import ast
import html
import inspect
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from collapse_jax.conformance import cases
from collapse_jax.measures import MEASURES, Measure
from collapse_jax.measures.options import options_of
from scripts.docsite.links import ROOT, rewrite

TABLE = ROOT / "docs" / "measures.md"
TESTS = ROOT / "tests" / "measures"
COLUMNS = ("it can say", "it cannot say", "null", "limits", "source")
NEEDS = {
    "probe": "train or test probe",
    "train": "train probe",
    "test": "test probe",
    "head": "the last layer",
    "parameters": "stored parameters",
    "weights": "parameters, or the last layer",
    "layers": "outputs of all hidden layers",
    "ood": "examples from elsewhere (`--ood=FILE.npz`)",
}


def pages() -> dict[str, str]:
    """Return the pages of all families by their paths on the site.

    Raises:
      ValueError: a family has no row in docs/measures.md, or no test of its own.
    """
    right = Counter(case.measure for case in cases())
    made = {f"handbook/{name}.md": _page(measure, right[name]) for name, measure in MEASURES.items()}
    return {"handbook/index.md": _index()} | made


def said(name: str) -> dict[str, str]:
    """Return the cells of a family's row in docs/measures.md by the words of their columns."""
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith(f"| [`{name}`](")]
    if len(rows) != 1:
        raise ValueError(f"docs/measures.md has {len(rows)} rows of the family {name}")
    cells = [cell.strip() for cell in rows[0].strip().strip("|").split(" | ")][1:]
    return dict(zip(COLUMNS, (rewrite(cell, _from_handbook) for cell in cells), strict=True))


def oracles(measure: Measure) -> dict[str, str]:
    """Return the tests of a family, the first line of each by its path: those named after it or importing it."""
    file = Path(inspect.getsourcefile(measure.function) or "").stem
    tests = {path: path.read_text() for path in sorted(TESTS.glob("test_*.py"))}
    named = [path for path in tests if re.search(rf"_{file}(_|$)", path.stem)]
    imports = [path for path, text in tests.items() if re.search(rf"families\.{file}\b", text)]
    mentions = [path for path, text in tests.items() if f'"{measure.name}"' in text]
    found = list(dict.fromkeys([*named, *imports])) or mentions
    if not found:
        raise ValueError(f"no file of {TESTS} tests the family {measure.name}")
    return {path.relative_to(ROOT).as_posix(): ast.get_docstring(ast.parse(tests[path])) or "" for path in found}


def _page(measure: Measure, right: int) -> str:
    where = f"{measure.function.__module__}.{measure.function.__name__}"
    facts = {
        **said(measure.name),
        "needs": ", ".join(NEEDS[need] for need in measure.needs),
        "taken": "of stored snapshots alone" if measure.finish else "in-line or of stored snapshots",
    }
    tests = [f"* `{path}`: {_cell(text)}" for path, text in oracles(measure).items()]
    if right:
        tests.append(f"* {right} cases of `python -m collapse_jax conformance --measure={measure.name}`")
    variables = [
        (f"`{name}`", _cell(v.long_name), _cell(v.units), _cell(v.definition), ", ".join(v.dims))
        for name, v in measure.variables.items()
    ]
    options = [(f"`{name}`", _cell(str(option.default))) for name, option in options_of(measure).items()]
    parts = [
        f"# {measure.name}",
        _table(("", measure.name), list(facts.items())),
        f"## Formula\n\n::: {where}\n    options: {{ show_root_heading: false, show_root_toc_entry: false }}",
        "## Options\n\n" + (_table(("option", "default"), options) if options else "None."),
        "## Oracles\n\n" + "\n".join(tests),
        f"## Variables ({len(variables)})",
        _table(("variable", "title", "unit", "definition", "axes"), variables),
    ]
    return "\n\n".join(parts) + "\n"


def _index() -> str:
    rows = [
        (f"[`{name}`]({name}.md)", said(name)["it can say"], str(len(measure.variables)))
        for name, measure in MEASURES.items()
    ]
    head = "Formula, oracle, null and limits of every family, from the code. [How to read them](../measures.md)."
    return f"# Handbook of measures\n\n{head}\n\n{_table(('family', 'it can say', 'variables'), rows)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _from_handbook(link: str) -> str:
    """Return a link of docs/measures.md as one of a page of the handbook."""
    return f"../{link}" if not link.startswith("../") else f"../source/{link.removeprefix('../')}.md"


def _cell(text: str) -> str:
    """Return a text as it stands, in a cell of a table of Markdown."""
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"[|*_`\[\]]", lambda match: f"&#{ord(match[0])};", text)
