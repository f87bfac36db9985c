"""The documentation site: its links, its menu, its pages of sources; scripts/site.sh builds it."""

import importlib
import inspect
import pkgutil
import re
import zlib

import pytest

import collapse_jax
from collapse_jax.measures import MEASURES
from scripts.docsite import handbook, links, reference
from scripts.docsite.sources import source_page

DOCS = links.ROOT / "docs"
PAGES = [*DOCS.glob("*.md"), *DOCS.glob("papers/*.md"), links.ROOT / "README.md", links.ROOT / "CONTRIBUTING.md"]
NAV = (links.ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]


def anchors(page):
    """Return the anchors of a page's headings: lower case, no punctuation, a hyphen for each blank."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_is_there_and_every_page_in_the_menu(page):
    path = page.relative_to(links.ROOT).as_posix()
    for link in links.targets(page.read_text()):
        target, fragment = links.linked_path(path, link)
        assert (links.ROOT / target).exists(), link
        if target.endswith(".md") and fragment:
            assert fragment.removeprefix("#") in anchors(links.ROOT / target), link
    assert re.search(rf"(: |- ){re.escape(links.site_path(path))}$", NAV, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "link", "right"),
    [
        ("index.md", "docs/launch.md#slurm", "launch.md#slurm"),
        ("index.md", "configs/quickstart.py", "source/configs/quickstart.py.md"),
        ("index.md", "docs/mnist_mlp", "mnist_mlp/README.md"),
        ("contributing.md", "docs/ARCHITECTURE.md", "ARCHITECTURE.md"),
        ("measures.md", "../README.md", "index.md"),
        ("measures.md", "../benchmarks/results/scaling.png", "source/benchmarks/results/scaling.png"),
        ("mnist_mlp/README.md", "runs.txt", "runs.txt.md"),
        ("mnist_mlp/README.md", "../measures.md", "../measures.md"),
        ("experiments.md", "experiments/", "experiments/index.md"),
    ],
)
def test_a_link_of_the_repository_is_one_of_the_site(page, link, right):
    assert links.on_site(page, link) == right


def test_code_has_no_links():
    text = "[a](b.md) `[c](d.md)` and\n```python\nx[0](y)\n```\n![e](f.png), [g](https://h.i), [j](#k)\n"
    assert list(links.targets(text)) == ["b.md", "f.png"]
    changed = links.rewrite(text, str.upper)
    assert changed == text.replace("b.md", "B.MD").replace("f.png", "F.PNG")


def test_a_page_of_a_source_is_its_text_and_one_of_a_folder_names_its_files():
    text = (links.ROOT / "configs" / "quickstart.py").read_text()
    assert text.rstrip() in source_page("configs/quickstart.py")
    assert "No text: " in source_page("docs/theory_mlp/results.nc")
    listed = source_page("docs/theory_mlp")
    assert "| `results.nc` |" in listed
    assert "![timescales.png](timescales.png)" in listed


def imported(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def test_the_reference_has_every_public_name_and_each_is_described():
    modules = {name: names for name, names in reference.modules().items() if name not in reference.CLASSES}
    packages = [info.name for info in pkgutil.iter_modules(collapse_jax.__path__, "collapse_jax.") if info.ispkg]
    public = {name: getattr(importlib.import_module(name), "__all__", []) for name in ["collapse_jax", *packages]}
    assert {name: sorted(names) for name, names in modules.items()} == {
        name: sorted(names) for name, names in public.items() if names
    }
    for name, where in reference.homes().items():
        object_, defined = map(imported, (name, where))
        assert object_ is defined, (name, where)
        if inspect.isclass(object_) or inspect.isfunction(object_):
            assert inspect.getdoc(object_), name
    text = "".join(reference.pages().values())
    assert all(f'<a id="{name}"></a>' in text for name in reference.public_names())


def test_a_site_that_lacks_a_name_is_refused(tmp_path):
    kept = [f"{where} py:function 1 # -" for where in reference.homes().values() if "train.train" not in where]
    lines = [*kept, "collapse_jax.engine.train.train py:module 1 # -"]
    packed = zlib.compress("\n".join(lines).encode())
    (tmp_path / "objects.inv").write_bytes(b"#\n#\n#\n#\n" + packed)
    assert reference.missing(tmp_path / "objects.inv") == ["collapse_jax.train"]


def test_the_handbook_has_every_family_variable_option_and_oracle():
    pages = handbook.pages()
    assert set(pages) == {"handbook/index.md", *(f"handbook/{name}.md" for name in MEASURES)}
    for name, measure in MEASURES.items():
        page = pages[f"handbook/{name}.md"]
        for variable in measure.variables:
            assert f"| `{variable}` |" in page
        assert all(f"| {column} |" in page for column in handbook.COLUMNS)
        assert re.search(r"^\* `tests/measures/test_\w+\.py`: \S", page, re.MULTILINE)
    assert "| `permutations` | 20 |" in pages["handbook/nhsic.md"]
    assert "CKA against N x N matrices" in pages["handbook/cka.md"]
