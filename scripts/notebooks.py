"""Run the notebooks of docs/notebooks and write each as a page: Markdown, pictures, and an .ipynb with its outputs.

    pip install -e ".[notebooks]"
    python -m scripts.notebooks --to=build/notebooks                        # all of them, two at a time
    python -m scripts.notebooks --to=build/notebooks --only=time_scales

A notebook is a Python file whose cells begin with `# %%` (text with `# %% [markdown]`), which Jupyter (with
jupytext) and editors open as a notebook; it has no outputs, so that a change of it can be read. It runs in
docs/notebooks, in a kernel of its own. A cell that fails or warns, and an output that names a folder of this
machine, end the command with exit code 1.
"""

import argparse
import base64
import concurrent.futures
import json
import pathlib
import re
import sys
import tempfile
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
BUILT = ROOT / "build" / "notebooks"
CELL_SECONDS = 120
NOT_RUN = "*Not run: `python -m scripts.notebooks` runs the notebooks.*"
Cell = dict[str, Any]


class BadNotebookError(Exception):
    """A cell failed, warned or says where it ran."""


def sources() -> list[pathlib.Path]:
    """Return the files of the notebooks, in their order."""
    return sorted(FOLDER.glob("*.py"))


def cells_of(text: str) -> list[Cell]:
    """Return the cells of a notebook as those of an .ipynb; text loses its comment signs."""
    cells: list[Cell] = []
    for head, body in re.findall(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", text, re.MULTILINE):
        source = body.strip("\n")
        if "[markdown]" in head:
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
            cells.append({"cell_type": "markdown", "metadata": {}, "source": source})
        else:
            code = {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
            cells.append(code)
    return cells


def run(cells: list[Cell]) -> list[Cell]:
    """Run the cells in a kernel of their own and return them with what they show.

    Raises:
      BadNotebookError: a cell fails, or warns.
    """
    import nbformat
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    notebook = nbformat.from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    place = {"metadata": {"path": str(FOLDER)}}
    with tempfile.TemporaryDirectory() as folder:
        kernel = AsyncKernelManager(transport="ipc", ip=f"{folder}/kernel")  # files in place of open ports
        try:
            client = NotebookClient(notebook, km=kernel, timeout=CELL_SECONDS, resources=place)
            client.execute(cleanup_kc=True)  # the kernel ends with its notebook
        except (CellExecutionError, CellTimeoutError) as error:
            raise BadNotebookError(re.sub(r"\x1b\[[\d;]*m", "", str(error))) from None
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        cell.outputs = [kept for output in cell.get("outputs", []) if (kept := shown(output))]
    return notebook.cells


def shown(output: Any) -> Any:
    """Return an output as it is shown: without progress, which differs from run to run; None leaves it out."""
    text = "".join(str(output.get("text", ""))) + str(output.get("data", {}).get("text/plain", ""))
    if re.search(r"\bWarning\b|WARNING|\w+Warning:", text):
        raise BadNotebookError(f"a cell warns: {text}")
    bar = "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    if output.get("name") == "stderr" or bar:
        return None
    for place in {str(ROOT), str(pathlib.Path.home()), tempfile.gettempdir()}:
        if f"{place}/" in str(output):
            raise BadNotebookError(f"an output names a folder of this machine: {text}")
    return output


def page_of(name: str, cells: list[Cell]) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by the names of their files."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    heading = name
    for cell in cells:
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"])
            heading = next(iter(re.findall(r"^#+ (.*)", cell["source"], re.MULTILINE)), heading)
            continue
        parts.append(f"```python\n{cell['source']}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                file = f"{name}_{len(pictures) + 1}.png"
                pictures[file] = base64.b64decode(data["image/png"])
                parts.append(f"![{heading}]({file})")
            elif frame := re.search(r'<table[^>]*"dataframe">(.*)</table>', data.get("text/html", ""), re.DOTALL):
                parts.append(f"<table>{frame[1]}</table>")  # without a class, as other tables of the site
            else:
                parts.append(f"```text\n{(output.get('text') or data.get('text/plain', '')).rstrip()}\n```")
    ran = any(cell.get("outputs") for cell in cells)
    parts.append(
        f"*This page is [{name}.ipynb]({name}.ipynb), run in a checkout of the repository.*" if ran else NOT_RUN
    )
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def write(source: pathlib.Path, folder: pathlib.Path) -> str:
    """Write the page of one notebook into a folder, and say how long it ran.

    Raises:
      BadNotebookError: as `run`.
    """
    began, cells = time.monotonic(), run(cells_of(source.read_text(encoding="utf-8")))
    page, pictures = page_of(source.stem, cells)
    for file, content in pictures.items():
        (folder / file).write_bytes(content)
    notebook = {
        "cells": cells,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    (folder / f"{source.stem}.ipynb").write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
    (folder / f"{source.stem}.md").write_text(page, encoding="utf-8")
    return f"{source.stem}: {time.monotonic() - began:.1f} s"


def main() -> int:
    """Run what the command line asks for; 1 if a notebook is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, default=BUILT, help="folder of the pages, made where it is not")
    parser.add_argument("--only", default="", help="names, comma-separated; all of them without it")
    given = parser.parse_args()
    named = [source for source in sources() if not given.only or source.stem in given.only.split(",")]
    if not named:
        print(f"--only={given.only}: there are {', '.join(source.stem for source in sources())}", file=sys.stderr)
        return 2
    given.to.mkdir(parents=True, exist_ok=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {pool.submit(write, source, given.to): source.stem for source in named}
        for done in concurrent.futures.as_completed(running):
            try:
                print(done.result(), flush=True)
            except BadNotebookError as error:
                failed += 1
                print(f"{running[done]}: {error}", file=sys.stderr, flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
