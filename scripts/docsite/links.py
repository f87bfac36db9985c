"""Links as they stand in the repository, and what they are on the site.

Every page is written for the repository: its links are paths from its own folder, to pages, pictures, sources and
folders alike. On the site pages below docs/ keep their paths, a few at the root become pages too, and whatever else
is linked is shown below source/.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Pages at the root of the repository, and their names on the site.
AT_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PICTURES = (".png", ".svg", ".jpg")
NOTEBOOKS = "docs/notebooks"  # each .py is a notebook, and a page of its own
# A link's target, unless it stands in code: fences and spans of code are matched first, and left alone.
CODE_OR_LINK = re.compile(
    r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)|(?P<ticks>`+).+?(?P=ticks)|(?<=\]\()(?P<link>[^)\s]+)(?=\))",
    re.MULTILINE | re.DOTALL,
)


def targets(markdown: str) -> Iterator[str]:
    """Yield the targets of all links and pictures of a page, without those within it or to elsewhere."""
    for match in CODE_OR_LINK.finditer(markdown):
        if match["link"] and not _is_elsewhere(match["link"]):
            yield match["link"]


def rewrite(markdown: str, change: Callable[[str], str]) -> str:
    """Return the page with `change` applied to each target that `targets` yields."""

    def one(match: re.Match[str]) -> str:
        return change(match[0]) if match["link"] and not _is_elsewhere(match[0]) else match[0]

    return CODE_OR_LINK.sub(one, markdown)


def _is_elsewhere(link: str) -> bool:
    return link.startswith("#") or bool(re.match(r"\w+:", link))


def repository_path(site_uri: str) -> str:
    """Return where a page of the site stands in the repository."""
    for path, uri in AT_ROOT.items():
        if uri == site_uri:
            return path
    return f"docs/{site_uri}"


def linked_path(page: str, link: str) -> tuple[str, str]:
    """Return the repository path that a link of a page (at its repository path) means, and its "#fragment"."""
    path, hash_, fragment = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), hash_ + fragment


def site_path(path: str) -> str:
    """Return the source path on the site of a file or folder of the repository.

    Raises:
      FileNotFoundError: there is no such file or folder.
    """
    if path in AT_ROOT:
        return AT_ROOT[path]
    file = ROOT / path
    if not file.exists():
        raise FileNotFoundError(path)
    if file.parent == ROOT / NOTEBOOKS and file.suffix == ".py":
        return f"notebooks/{file.stem}.md"
    inside = path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}"
    if file.is_dir():
        return f"{inside}/{'README.md' if (file / 'README.md').exists() else 'index.md'}"
    if inside == path.removeprefix("docs/") and file.suffix in (".md", *PICTURES):
        return inside
    return inside if file.suffix in PICTURES else f"{inside}.md"


def on_site(page_uri: str, link: str) -> str:
    """Return a link of the repository as a link of the site, from the page at `page_uri`."""
    path, fragment = linked_path(repository_path(page_uri), link)
    return posixpath.relpath(site_path(path), posixpath.dirname(page_uri) or ".") + fragment
