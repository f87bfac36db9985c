"""Pages of the reference, a page for each public package, and what must be on them.

Public are the names of `__all__` of the package and of its rooms, the classes of a config file and the errors. They
are read off the sources, of which nothing is imported.
"""

import ast
import functools
import zlib
from collections.abc import Iterator
from pathlib import Path

from scripts.docsite.links import ROOT

PACKAGE = "collapse_jax"
# Modules without `__all__`, all of whose public classes are for users.
CLASSES = {
    f"{PACKAGE}.experiment.config": "Fields of an experiment",
    f"{PACKAGE}.experiment.training": "Fields of the training",
    f"{PACKAGE}.experiment.axes": "Axes of a grid",
    f"{PACKAGE}.experiment.choices": "Options of models",
    f"{PACKAGE}.errors": "Errors",
}


def modules() -> dict[str, list[str]]:
    """Return the public names of each public module, the package itself first."""
    found = {PACKAGE: _all(ROOT / PACKAGE / "__init__.py")}
    for file in sorted((ROOT / PACKAGE).glob("*/__init__.py")):
        found[f"{PACKAGE}.{file.parent.name}"] = _all(file)
    for name in CLASSES:
        found[name] = _classes(_file(name))
    return {name: names for name, names in found.items() if names}


def public_names() -> Iterator[str]:
    """Yield "MODULE.NAME" of all of them."""
    for module, names in modules().items():
        yield from (f"{module}.{name}" for name in names)


def homes() -> dict[str, str]:
    """Return where each public name is defined: "collapse_jax.train" is "collapse_jax.engine.train.train"."""
    return {name: home(name) for name in public_names()}


def home(name: str) -> str:
    """Follow the imports of a public name to the file that defines it."""
    module, _, last = name.rpartition(".")
    imported = _imports(module).get(last)
    return home(imported) if imported else name


@functools.cache
def _imports(module: str) -> dict[str, str]:
    """Return what a module imports from the package, by the names that it has there."""
    nodes = [node for node in ast.walk(_parsed(_file(module))) if isinstance(node, ast.ImportFrom)]
    inside = [node for node in nodes if str(node.module).startswith(PACKAGE)]
    return {alias.asname or alias.name: f"{node.module}.{alias.name}" for node in inside for alias in node.names}


@functools.cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def pages() -> dict[str, str]:
    """Return the pages of the reference by their paths on the site; what two packages offer is on the first."""
    made, shown = {"api/index.md": _index()}, {}
    for module, names in modules().items():
        parts = [f"# {CLASSES.get(module, module)}"]
        for name in names:
            where = home(f"{module}.{name}")
            parts.append(_entry(module, name, where, shown.get(where)))
            shown.setdefault(where, module)
        made[f"api/{module}.md"] = "\n\n".join(parts) + "\n"
    return made


def missing(inventory: Path) -> list[str]:
    """Return the public names that the inventory of a built site (objects.inv) does not have."""
    _, _, _, _, packed = inventory.read_bytes().split(b"\n", 4)
    lines = [line.split(" ") for line in zlib.decompress(packed).decode().splitlines()]
    there = {line[0] for line in lines if line[1] != "py:module"}
    return [name for name, where in homes().items() if where not in there]


def _entry(module: str, name: str, where: str, page: str | None) -> str:
    """Return the entry of a name; the anchor is its public one."""
    anchor = f'<a id="{module}.{name}"></a>'
    if page:
        return f"{anchor}\n\n`{module}.{name}` is on the page of [{page}]({page}.md#{where})."
    return f"{anchor}\n\n::: {where}\n    options:\n      heading: {module}.{name}"


def _index() -> str:
    rows = []
    for module, names in modules().items():
        linked = ", ".join(f"[`{name}`]({module}.md#{module}.{name})" for name in names)
        rows.append(f"| [{CLASSES.get(module, module)}]({module}.md) | {linked} |")
    head = "Every public name. Formulas, shapes, units and errors are in the docstrings, which these pages show."
    return "\n".join(["# Reference", "", head, "", "| module | names |", "|---|---|", *rows, ""])


def _file(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _all(file: Path) -> list[str]:
    for node in _parsed(file).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return []


def _classes(file: Path) -> list[str]:
    body = _parsed(file).body
    return [node.name for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
