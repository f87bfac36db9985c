"""Claims: sentences of the documentation whose numbers are computed again from the results that ship with it.

A claim is the sentence as it stands in a page, with code in place of its numbers. `docs/claims/*.py` hold them:

    @claims("docs/mnist_mlp")
    def reached(results):
        lowest = results.rnc1.min("step")
        yield f"{(lowest < 0.01).sum()} of the {lowest.size} runs reach RNC1 0.01"

`check` looks for each sentence in README.md and docs/**/*.md, wherever it stands by now, and compares it character
by character; links, emphasis and line breaks of the pages do not count.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import xarray as xr

from collapse_jax.errors import CollapseError, ConfigError, require, require_one_of
from collapse_jax.experiment.extensions import load_file
from collapse_jax.publishing.pages import Page, pages_of
from collapse_jax.workdir.results import open_results

FOLDER = "docs/claims"
# A number, or what stands in its place where there is none.
NUMBER = r"-?(?:\d[\d,]*)?\.?\d+(?:e-?\d+)?|∞|nan|inf"
_SOURCES = "_claims_read"


class ClaimError(CollapseError):
    """A number of the documentation is not what its results say."""

    code = 1


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
      name: "FILE.FUNCTION" of its code.
      recomputed: the sentence with the numbers computed now.
      claimed: the sentence as a page has it; "" where no page has it.
      page: that page, "" for none.
    """

    name: str
    recomputed: str
    claimed: str
    page: str

    @property
    def equal(self) -> bool:
        """Whether a page says what the results say."""
        return bool(self.claimed) and self.claimed == self.recomputed


def claims(*sources: str) -> Callable[[Callable[..., Iterator[str]]], Callable[..., Iterator[str]]]:
    """Mark a function of the files of claims: it gets one argument for each source, and yields sentences.

    Args:
      *sources: folders and NetCDF files that `open_results` reads, or other files, which come as paths; all from
        the root of the repository. A function must not change the datasets: others get the same ones.
    """

    def mark(function: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
        setattr(function, _SOURCES, sources)
        return function

    return mark


def functions_of(root: pathlib.Path) -> dict[str, Callable[..., Iterator[str]]]:
    """Return the functions of the files of claims by name, "FILE.FUNCTION"."""
    files = sorted((root / FOLDER).glob("*.py"))
    require(bool(files), "--root", str(root), f"must be a checkout of the repository: it has no {FOLDER}/*.py")
    return {
        f"{file.stem}.{name}": value
        for file in files
        for name, value in vars(load_file("--root", str(file), "a file of claims")).items()
        if hasattr(value, _SOURCES)
    }


def check(root: pathlib.Path, only: str = "") -> Iterator[Verdict]:
    """Compute claims again and look them up in the pages.

    Args:
      root: a checkout of the repository.
      only: a file or a function of claims, "FILE" or "FILE.FUNCTION"; all.

    Raises:
      ConfigError: there are no claims, or none of this name.
    """
    functions = functions_of(root)
    names = [name for name in functions if not only or only in (name, name.partition(".")[0])]
    if not names:
        require_one_of("--only", only, {*functions, *(name.partition(".")[0] for name in functions)})
    pages = pages_of(root)
    for name in names:
        sources = [_source(root / source) for source in getattr(functions[name], _SOURCES)]
        for sentence in functions[name](*sources):
            recomputed = " ".join(sentence.split())
            page, claimed = find(recomputed, pages)
            yield Verdict(name, recomputed, claimed, page)


def find(sentence: str, pages: Sequence[Page]) -> tuple[str, str]:
    """Return the page with a sentence and its text there: the same if there is, else one with other numbers."""
    for page in pages:
        if sentence in page.text:
            return page.name, sentence
    pattern = f"(?:{NUMBER})".join(map(re.escape, re.split(NUMBER, sentence)))
    alike = [(page.name, match.group()) for page in pages for match in re.finditer(pattern, page.text)]
    return max(alike, key=lambda one: SequenceMatcher(None, one[1], sentence).ratio(), default=("", ""))


def _source(path: pathlib.Path) -> Any:
    if path.is_dir() or path.suffix == ".nc":
        return results_of(path)
    if not path.is_file():
        raise ConfigError("--root", str(path), "no such file, which a claim reads")
    return path


@functools.lru_cache(maxsize=8)
def results_of(path: pathlib.Path) -> xr.Dataset:
    """Return shipped results, which are read once."""
    return open_results(path)
