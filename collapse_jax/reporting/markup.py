"""HTML as function calls: `tag("p", "a < b")` is `<p>a &lt; b</p>`; whatever is not `Markup` is escaped."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

VOID = ("br", "img", "meta", "wbr")
WIDE = 12  # columns from which words may break anywhere on paper, or a table would not fit


class Markup(str):
    """Text that is HTML already."""


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Build an element.

    Args:
      name: of the element.
      *children: text, `Markup`, iterables of them, or None, which is left out.
      **attributes: `class_` is written `class`; True is an attribute without a value, None and False are left out.
    """
    parts = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False:
            parts.append(f'{key}="{html.escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if name in VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: Any) -> Markup:
    """Put children one after another, escaped where they are plain text."""
    return Markup("".join(map(_piece, children)))


def _piece(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return html.escape(child)
    if isinstance(child, Iterable):
        return join(*child)
    return html.escape(str(child))


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]], *, names: int = 1, class_: str | None = None
) -> Markup:
    """Build a table that scrolls inside its own box where it is wider than the page.

    Args:
      caption: what it shows.
      header: of the columns.
      rows: cells; the first `names` of each row head it.
      names: see above.
      class_: of the table.
    """
    body = [
        tag(
            "tr",
            [tag("th", cell, scope="row") for cell in row[:names]],
            [tag("td", cell) for cell in row[names:]],
        )
        for row in rows
    ]
    heads = [
        tag("th", _breakable(cell), scope="col", class_="name" if i < names else None)
        for i, cell in enumerate(header)
    ]
    classes = " ".join(filter(None, (class_, "wide" if len(header) > WIDE else None)))
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", heads)),
            tag("tbody", body),
            class_=classes or None,
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _breakable(text: str) -> Markup:
    """Let the name of a variable break after its underscores."""
    return Markup(join(text).replace("_", f"_{tag('wbr')}"))


def section(title: str, *children: Any) -> Markup:
    """Build a part of the page under a heading of the second level that can be linked to."""
    return tag("section", tag("h2", title), *children, id=anchor(title))


def anchor(title: str) -> str:
    """Return the name by which a part is linked to."""
    return title.lower().replace(" ", "-")


def details(summary: str, *children: Any, open_: bool = False, long: bool = False) -> Markup:
    """Build a part that is folded away on a screen, and open on paper unless it is long."""
    return tag("details", tag("summary", summary), *children, open=open_, class_="long" if long else None)


def paragraph(*children: Any, class_: str | None = None) -> Markup:
    """Build a paragraph."""
    return tag("p", *children, class_=class_)
