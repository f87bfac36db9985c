"""The notebooks of docs/notebooks: what can be said without running them, which .ci/run does."""

import ast
import re

import pytest

import collapse_jax
from scripts import notebooks

SOURCES = notebooks.sources()
LISTED = (notebooks.FOLDER / "README.md").read_text()
MENU = (notebooks.ROOT / "mkdocs.yml").read_text()


def test_every_notebook_is_listed_with_its_question_and_in_the_menu_and_there_are_no_others():
    questions = dict(re.findall(r"^\| \[(\w+)\]\(\1\.py\) \| (.*) \|$", LISTED, re.MULTILINE))
    titles = {
        source.stem: re.match(r"# %% \[markdown\]\n# # (.*\?)\n", source.read_text())[1] for source in SOURCES
    }
    assert questions == titles
    assert len(titles) >= 8
    assert set(re.findall(r": notebooks/(\w+)\.md", MENU)) == {*titles, "README"}
    assert not list(notebooks.FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_is_whole_and_uses_public_names_alone(source):
    cells = notebooks.cells_of(source.read_text())
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds[0] == kinds[-1] == "markdown"
    assert cells[-1]["source"].find("**Limits.**") >= 0
    # Nothing of the file is lost between the cells.
    code = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(source.read_text()))
    tree = ast.parse(code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in names if isinstance(node.value, ast.Name) and node.value.id == "collapse_jax"}
    assert used <= set(collapse_jax.__all__)
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"collapse_jax", "collapse_jax.experiment.config"}


FRAME = """<div>
<style scoped>
.x {}
</style>
<table border="1" class="dataframe"><tr><td>7</td></tr></table>
</div>"""
OUTPUTS = [
    {"output_type": "stream", "name": "stdout", "text": "said\n"},
    {"output_type": "stream", "name": "stderr", "text": "12 %"},
    {"output_type": "display_data", "data": {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}},
    {"output_type": "display_data", "data": {"text/html": FRAME, "text/plain": "7"}},
    {"output_type": "display_data", "data": {"text/plain": "3 + 4"}},
    {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}},
]


def test_a_page_shows_text_code_and_outputs():
    cells = notebooks.cells_of("# %% [markdown]\n# # Why?\n#\n# So.\n\n# %%\nx = 1\n\n\n# a remark\nx\n")
    assert [cell["source"] for cell in cells] == ["# Why?\n\nSo.", "x = 1\n\n\n# a remark\nx"]
    cells[1]["outputs"] = [kept for one in OUTPUTS if (kept := notebooks.shown(one))]
    page, pictures = notebooks.page_of("why", cells)
    assert pictures == {"why_1.png": b"hello"}
    for part in ("# Why?", "```python\nx = 1", "```text\nsaid\n```", "![Why?](why_1.png)", "```text\n3 + 4\n```"):
        assert part in page
    assert "<table><tr><td>7</td></tr></table>" in page
    assert "style" not in page
    assert "12 %" not in page
    assert "bar" not in page
    assert notebooks.NOT_RUN in notebooks.page_of("why", notebooks.cells_of("# %%\nx = 1\n"))[0]


@pytest.mark.parametrize(
    "text", ["a.py:3: UserWarning: old", "[App] WARNING | open port", f"{notebooks.ROOT}/docs"]
)
def test_a_warning_or_a_folder_of_the_machine_is_refused(text):
    with pytest.raises(notebooks.BadNotebookError):
        notebooks.shown({"output_type": "stream", "name": "stdout", "text": text})
    if "warning" in text.casefold():  # of the rest of stderr nothing is shown
        with pytest.raises(notebooks.BadNotebookError):
            notebooks.shown({"output_type": "stream", "name": "stderr", "text": text})


@pytest.mark.slow
def test_a_kernel_runs_the_cells_and_one_that_fails_is_told():
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = notebooks.run(notebooks.cells_of("# %%\nx = 6\n\n# %%\nprint(7 * x)\nx\n"))
    shown = [str(output.get("text") or output["data"]["text/plain"]).strip() for output in cells[1]["outputs"]]
    assert shown == ["42", "6"]
    with pytest.raises(notebooks.BadNotebookError, match="NameError: name 'y' is not defined"):
        notebooks.run(notebooks.cells_of("# %%\ny\n"))
    with pytest.raises(notebooks.BadNotebookError, match="a cell warns"):
        notebooks.run(notebooks.cells_of("# %%\nimport warnings\n\nwarnings.warn('old')\n"))
