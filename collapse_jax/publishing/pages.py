"""The pages of the documentation as plain text, and how many numbers stand in them."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[((?:[^\[\]|]|\[[^\[\]|]*\])*)\]\([^()]*\)")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w.]*\d)|(?<![\w.])-?\.\d+")
_TIMED = re.compile(
    r"(?:\d[\d,.]*)\s*(?:ms|s|min|h|hours?|minutes?|seconds?|GB|GiB|GFLOP/s|run-steps(?:/s)?|x|times|cores?)\b"
)


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
      name: its path from the root of the repository.
      text: without code blocks, the targets of links and emphasis, all white space one blank.
    """

    name: str
    text: str


def plain(markdown: str) -> str:
    """Return the words of a page in Markdown: what a reader sees of its paragraphs and tables, on one line."""
    text = _FENCED.sub(" ", _COMMENT.sub(" ", markdown))
    text = _LINK.sub(r"\1", text).replace("**", "").replace("`", "")
    return " ".join(text.split())


def pages_of(root: pathlib.Path) -> list[Page]:
    """Read README.md and docs/**/*.md."""
    files = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [Page(str(file.relative_to(root)), plain(file.read_text("utf-8"))) for file in files if file.is_file()]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Numbers of the pages.

    Attributes:
      numbers: all, those of code blocks, links and names apart.
      derived: of these, those in sentences that are computed again, the settings that these name among them.
      measured: of the others, times, speeds and sizes of a machine, which only their command gives again.
    """

    numbers: int
    derived: int
    measured: int


def coverage(pages: Iterable[Page], sentences: Iterable[str]) -> Coverage:
    """Count the numbers of pages, and those in the sentences that are computed again."""
    sentences, numbers, derived, measured = list(sentences), 0, 0, 0
    for page in pages:
        covered = [span for text in sentences for span in _spans(page.text, text)]
        timed = [match.span() for match in _TIMED.finditer(page.text)]
        for match in _NUMBER.finditer(page.text):
            numbers += 1
            if _inside(match.start(), covered):
                derived += 1
            else:
                measured += _inside(match.start(), timed)
    return Coverage(numbers, derived, measured)


def _spans(text: str, part: str) -> list[tuple[int, int]]:
    return [(m.start(), m.end()) for m in re.finditer(re.escape(part), text)] if part else []


def _inside(at: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in spans)
