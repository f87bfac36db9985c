"""The pages of the documentation: their blocks, and their words as a reader sees them."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterator

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[((?:[^\[\]|]|\[[^\[\]|]*\])*)\]\([^()]*\)")
# How the lines of a block begin; those of a paragraph begin otherwise.
_BEGINS = {"heading": r"#+ ", "table": r"\|", "item": r" *(?:[*-]|\d+\.) "}


@dataclasses.dataclass(frozen=True)
class Block:
    """A paragraph, an item of a list, a table, a heading, or a block of code.

    Attributes:
      kind: "paragraph", "item", "table", "heading" or "code".
      section: how many headings come before it, itself included.
      markdown: as it stands in the file.
      marked: its words on one line, without the targets of links and emphasis; code keeps its backticks, a block
        of code has no words.
    """

    kind: str
    section: int
    markdown: str
    marked: str


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
      name: its path from the root of the repository.
      blocks: what it consists of, in order.
    """

    name: str
    blocks: tuple[Block, ...]

    @functools.cached_property
    def text(self) -> str:
        """The words of all blocks on one line, without backticks."""
        return self.marked.replace("`", "")

    @functools.cached_property
    def marked(self) -> str:
        """The same with backticks."""
        return " ".join(block.marked for block in self.blocks if block.marked)


def pages_of(root: pathlib.Path) -> list[Page]:
    """Read README.md and docs/**/*.md."""
    files = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [page(str(file.relative_to(root)), file.read_text("utf-8")) for file in files if file.is_file()]


def page(name: str, markdown: str) -> Page:
    """Cut Markdown into its blocks."""
    blocks: list[Block] = []
    section = 0
    for kind, lines in _pieces(_COMMENT.sub(" ", markdown)):
        section += kind == "heading"
        blocks.append(Block(kind, section, lines, "" if kind == "code" else words(lines)))
    return Page(name, tuple(blocks))


def _pieces(markdown: str) -> Iterator[tuple[str, str]]:
    for at, part in enumerate(_FENCED.split(markdown)):
        if at % 2:
            yield "code", part
            continue
        kind, lines = "", list[str]()
        for line in part.split("\n"):
            begins = next((name for name, start in _BEGINS.items() if re.match(start, line)), "")
            continues = kind == begins == "table" or (
                bool(kind) and not begins and kind not in ("table", "heading")
            )
            if not (line.strip() and continues):
                if lines:
                    yield kind, "\n".join(lines)
                kind, lines = "", []
            if line.strip():
                kind = kind or begins or "paragraph"
                lines.append(line)
        if lines:
            yield kind, "\n".join(lines)


def words(markdown: str) -> str:
    """Return Markdown as one line of words, code in backticks, without the targets of links and emphasis."""
    return " ".join(_LINK.sub(r"\1", markdown).replace("**", "").split())
