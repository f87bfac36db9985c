"""The command `list`: what there is of each kind, one line each, in the words of its registry.

Registries of functions that jax compiles - measures, models, datasets, losses, terms - import jax; others do not.
"""

import ast
import dataclasses
import inspect
import pathlib
from collections.abc import Callable, Iterator, Mapping

from collapse_jax.cli.base import Command, Options
from collapse_jax.errors import ConfigError, unknown
from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.config import Thresholds
from collapse_jax.experiment.describe import first_sentence

Lines = Iterator[tuple[str, str]]


def run(options: Options) -> None:
    """Print what there is of a kind."""
    kind = options.argument
    if kind not in KINDS:
        raise ConfigError("list", kind, unknown("kind", kind, KINDS))
    lines = dict(KINDS[kind]())
    wide = max(map(len, lines), default=0)
    for name, text in lines.items():
        print(f"{name:{wide}}  {text}")


def _measures() -> Lines:
    from collapse_jax.measures import MEASURES

    for name, measure in MEASURES.items():
        yield name, first_sentence(measure.function)


def _models() -> Lines:
    from collapse_jax.models import MODELS

    for name, info in MODELS.items():
        options = ", ".join(item.name for item in dataclasses.fields(info.options))
        yield name, f"{_of_module(info.make)} Options: {options or 'none'}"


def _datasets() -> Lines:
    from collapse_jax.tasks import arrays, catalogue, modular, outside, text_files, token_selection

    made = {modular.NAME: modular, token_selection.NAME: token_selection}
    for name in catalogue.SUGGESTED:
        if name in made:
            yield name, first_sentence(made[name])
        elif name in catalogue.TASKS:
            yield name, _of_module(catalogue.TASKS[name].load)
        else:
            yield name, f"Of TFDS, as any other of its images and texts: collapse-jax prepare --dataset={name}"
    yield "FILE.npz", first_sentence(arrays)
    yield "FILE.jsonl", f"{first_sentence(text_files)} Also .csv, .label"
    yield "FILE.py:NAME", first_sentence(outside)


def _configs() -> Lines:
    here = pathlib.Path("configs")
    folder = here if here.is_dir() else pathlib.Path(__file__).parents[2] / "configs"
    for path in sorted(folder.glob("*.py")):
        yield str(path), first_sentence(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def _figures() -> Lines:
    from collapse_jax.figures.registry import FIGURES

    return ((name, drawing.question) for name, drawing in FIGURES.items())


def _events() -> Lines:
    from collapse_jax.analysis.events import EVENTS

    for name, event in EVENTS.items():
        yield name, f"{event.tau}, {event.long_name}: {event.condition(Thresholds())}"


def _losses() -> Lines:
    from collapse_jax.models.losses import LOSSES

    return ((name, first_sentence(loss.per_example)) for name, loss in LOSSES.items())


def _terms() -> Lines:
    from collapse_jax.training.terms import TERMS

    return ((name, first_sentence(term.function)) for name, term in TERMS.items())


def _axes() -> Lines:
    for name, axis in AXES.items():
        yield name, f"{axis.label}{'' if axis.traced else ' (static: each value is a compiled program)'}"


def _of_module(function: Callable[..., object]) -> str:
    """Return the first sentence of the file in which a function stands."""
    return first_sentence(inspect.getmodule(function))


KINDS: Mapping[str, Callable[[], Lines]] = {
    "measures": _measures,
    "models": _models,
    "datasets": _datasets,
    "configs": _configs,
    "figures": _figures,
    "events": _events,
    "losses": _losses,
    "terms": _terms,
    "axes": _axes,
}

COMMAND = Command(
    run,
    f"say what there is: {', '.join(KINDS)}",
    "measures",
    needs_workdir=False,
    argument="KIND",
    choices=tuple(KINDS),
)
