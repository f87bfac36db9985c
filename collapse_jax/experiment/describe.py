"""The fields of an experiment with their defaults and what they mean, from the docstrings that declare them."""

import dataclasses
import functools
import inspect
import re
from typing import Any, NamedTuple

from collapse_jax.experiment.config import Experiment


class Field(NamedTuple):
    """A field of the experiment.

    Attributes:
      name: dotted, as after `--config.`.
      default: its value in an experiment that says nothing.
      text: what it means, in one paragraph.
    """

    name: str
    default: Any
    text: str


@functools.cache
def fields() -> tuple[Field, ...]:
    """Return all fields of an experiment, those of a group one after the other."""
    return tuple(_fields_of(Experiment(), ""))


def _fields_of(node: Any, prefix: str) -> list[Field]:
    texts, found = attributes_of(type(node)), []
    for item in dataclasses.fields(node):
        value, name = getattr(node, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            found += _fields_of(value, f"{name}.")
        else:
            found.append(Field(name, value, texts[item.name]))
    return found


def attributes_of(kind: type) -> dict[str, str]:
    """Read the section `Attributes:` of a docstring of Google's style: name -> its text in one line."""
    section = re.split(r"^Attributes:\n", inspect.getdoc(kind) or "", flags=re.MULTILINE)[-1]
    items = re.findall(r"^  (\w+): ((?:.*\n?)(?:^    .*\n?)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in items}


def first_sentence(thing: Any) -> str:
    """Return the first sentence of a docstring, or of a text, in one line."""
    text = thing if isinstance(thing, str) else inspect.getdoc(thing) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[^.]\.) (?=[A-Z])", paragraph)[0]
