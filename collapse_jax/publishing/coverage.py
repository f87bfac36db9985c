"""Where the numbers of the pages come from: one rule for all of them.

A number, those of code blocks, names and the targets of links apart, is

* **derived** in a sentence or row that a claim computes again;
* a **setting** in code, in a heading, in the head or the first column of a table, in a formula, or beside its name
  ("seed 0", "5 seeds", "d = 500", "jax 0.10"), or what a paper says, in a sentence, cell or column that says so;
* **named** where its paragraph, item or table names the command, the file of code or of results that makes it, or
  the block right before or after does, or the first of the section;
* else **bare**: nobody can make it again, and `reproduce` fails.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from collapse_jax.publishing.pages import Block, Page, words

NUMBER = re.compile(r"(?<![\w.-])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\d)|(?<![\w.-])-?\.\d+")
KINDS = ("derived", "setting", "named", "bare")
_NAMED = re.compile(
    r"python -m \w|\bpytest\b|\bcollapse_jax\.\w+\(|\b(?:configs|scripts|benchmarks|tests)[./]\w|\btest_\w+"
    r"|\.(?:py|json|txt|nc|npz)\b|`(?:train|measure|plot|show|report|verify|reproduce)\b|`:\w+|\b[Bb]y hand\b"
)
# Names of settings that stand before their number, and those that stand after it.
_BEFORE = (
    "seeds? runs? steps? epochs? levels? layers? blocks? images first width depth batch rates? decays? density "
    "scales? norms? signals? shares? distortions? mod modulo sigma SNR Figures? Theorem Algorithm codes? jax torch "
    "PyTorch Python MNIST Chrome Safari Firefox"
)
_AFTER = (
    "seeds? runs? steps? epochs? levels? layers? blocks? images? examples? class(?:es)? neurons? units? tokens? "
    "channels? weights? parameters? rates? decays? dimensions? signals? draws? permutations? rounds? "
    "process(?:es)? threads? cores? devices? tiles? rows? sets? components? bins? groups? "
    "batch(?:es)? outputs? snapshots? CPU"
)
_NUMBERS = rf"(?:(?:{NUMBER.pattern})(?:,| and| or| to| x|;)? ?)+"  # "0, 1 and 2"
_SETTING = re.compile(
    "|".join(
        (
            rf"\b(?:{'|'.join(_BEFORE.split())}|[A-Za-oq-z] =)[ :=-]*{_NUMBERS}",  # p is no setting, but found
            rf"{_NUMBERS}(?:[a-z-]+ )?(?:{'|'.join(_AFTER.split())})(?![\w/-])",  # "2 quiet cores"
            r"\d*\)? ?[/^*] ?\d*|\b(?:log|ln|exp)[ (]\d+|\d+ (?:ln|log|H|max)\b|\b1 - [\dp]",
            r"[NU]?[(\[][\d.e-]+, [\d.e-]+[)\]]",  # N(0, 1), [0, 1]
            r"^\d\. |\(\d\) |\b\d{4}\.\d{5}\b",  # places in lists; arXiv
        )
    )
)
_SAID = re.compile(r"\bpaper|\bauthors?\b|arXiv|\basked\b|\bgoals?\b", re.IGNORECASE)
_SAID_BELOW = re.compile(f"{_SAID.pattern}|figure", re.IGNORECASE)  # in the head of a column
_CELL = re.compile(r"(?:[^|\\]|\\.)+(?=\|)")
_SENTENCE = re.compile(r"(?:[^.;|]|[.;](?!\s))+")


@dataclasses.dataclass(frozen=True)
class Found:
    """A number of a page.

    Attributes:
      page: name of the page.
      kind: "derived", "setting", "named" or "bare".
      context: the words around it.
    """

    page: str
    kind: str
    context: str


def numbers_of(page: Page, sentences: Iterable[str]) -> Iterator[Found]:
    """Say of each number of a page where it comes from.

    Args:
      page: a page.
      sentences: what claims compute again.
    """
    derived = [span for text in sentences if text for span in _spans(page.text, re.compile(re.escape(text)))]
    named = [bool(_NAMED.search(block.markdown)) for block in page.blocks]
    start = 0
    for at, block in enumerate(page.blocks):
        settings = _settings(block)
        for match in NUMBER.finditer(block.marked):
            plain = start + match.start() - block.marked.count("`", 0, match.start())
            if _inside(plain, derived):
                kind = "derived"
            elif _inside(match.start(), settings):
                kind = "setting"
            else:
                kind = "named" if any(named[near] for near in _near(page.blocks, at)) else "bare"
            context = block.marked[max(0, match.start() - 50) : match.end() + 30]
            yield Found(page.name, kind, context)
        start += len(block.marked.replace("`", "")) + bool(block.marked)


def count(found: Iterable[Found]) -> dict[str, int]:
    """Count the numbers of each kind."""
    counted = Counter(one.kind for one in found)
    return {kind: counted[kind] for kind in KINDS}


def _near(blocks: tuple[Block, ...], at: int) -> list[int]:
    section = [i for i, block in enumerate(blocks) if block.section == blocks[at].section]
    first = [i for i in section if blocks[i].kind != "heading"][:1]
    return [i for i in section if abs(i - at) <= 1] + first


def _settings(block: Block) -> list[tuple[int, int]]:
    text = block.marked
    if block.kind == "heading":
        return [(0, len(text))]
    found = [*_spans(text, re.compile(r"`[^`]*`")), *_spans(text, _SETTING)]
    found += [span for span in _spans(text, _SENTENCE) if _SAID.search(text, *span)]
    return found + (_labels(block) if block.kind == "table" else [])


def _labels(table: Block) -> list[tuple[int, int]]:
    """The head of a table, its first column, and columns of what papers say or what was asked for."""
    rows = [words(line) for line in table.markdown.split("\n")]
    head = [cell.group() for cell in _CELL.finditer(rows[0])]
    found, start = [(0, len(rows[0]))], len(rows[0]) + 1
    for row in rows[1:]:
        cells = [(start + cell.start(), start + cell.end()) for cell in _CELL.finditer(row)]
        found += [
            span for at, span in enumerate(cells) if at == 0 or _SAID_BELOW.search("".join(head[at : at + 1]))
        ]
        start += len(row) + 1
    return found


def _spans(text: str, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def _inside(at: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in spans)
