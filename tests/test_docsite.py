"""The documentation site: its links, its menu, its pages of sources; scripts/site.sh builds it."""

import re

import pytest

from scripts.docsite import links
from scripts.docsite.sources import source_page

DOCS = links.ROOT / "docs"
PAGES = [*DOCS.glob("*.md"), *DOCS.glob("papers/*.md"), links.ROOT / "README.md", links.ROOT / "CONTRIBUTING.md"]
NAV = (links.ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_is_there_and_every_page_in_the_menu(page):
    path = page.relative_to(links.ROOT).as_posix()
    for link in links.targets(page.read_text()):
        target, _ = links.linked_path(path, link)
        assert (links.ROOT / target).exists(), link
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
    listed = source_page("docs/theory_mlp")
    assert "| `results.nc` |" in listed
    assert "![timescales.png](timescales.png)" in listed
