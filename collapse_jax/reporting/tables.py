"""A table of the page, as `templates/macros.html.j2` shows it."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
      caption: what it shows.
      header: of the columns.
      rows: cells; the first `names` of each row head it.
      names: see above.
      kind: "numbers", whose cells hold a mean and what follows it, or "fields".
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    names: int = 1
    kind: Literal["fields", "numbers"] = "fields"


def spread(text: str) -> tuple[str, str]:
    """Split a mean from what follows it, such as the range of the seeds, which the page puts below it."""
    found = re.search(r" [\[(]", text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")
