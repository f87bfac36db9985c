"""What was asked for: the fields of the config that matter first, all of them folded, and how to repeat it."""

import dataclasses
import re
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from collapse_jax.experiment import config, identity
from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.choices import CHOICES, filled
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.reporting.tables import Table


class Repeat(NamedTuple):
    """How to repeat a sweep: a config file, and the command that trains it."""

    title: str
    file: str
    command: str


class Configuration(NamedTuple):
    """The fields that matter, or that there are none; all of them; and how to repeat each sweep."""

    differing: Table
    none_differs: str
    everything: Table
    repeats: list[Repeat]


def configuration(sweeps: Sequence[Sweep]) -> Configuration:
    """Build the part of the config."""
    fields = {sweep.name: _texts(sweep.experiment) for sweep in sweeps}
    defaults = _defaults(sweeps[0].experiment)
    everything = [[name, *(found[name] for found in fields.values()), defaults[name]] for name in defaults]
    columns = [sweep.name for sweep in sweeps] if len(sweeps) > 1 else ["value"]
    header = ["field", *columns, "default"]
    if len(sweeps) == 1:
        shown = [row for row in everything if row[1] != row[-1]]
        caption, none = "Fields that differ from the default", "Every field has its default."
    else:
        shown = [row for row in everything if len(set(row[1:-1])) > 1]
        caption, none = "Fields that differ between the sweeps", "The sweeps have the same config."
    titles = ["Repeat it"] if len(sweeps) == 1 else [f"Repeat {sweep.name}" for sweep in sweeps]
    repeats = [
        Repeat(title, config_file(sweep.experiment), _command(sweep))
        for title, sweep in zip(titles, sweeps, strict=True)
    ]
    return Configuration(Table(caption, header, shown), none, Table("All fields", header, everything), repeats)


def _texts(experiment: config.Experiment) -> dict[str, str]:
    fields = {name: repr(value) for name, value in identity.flatten(experiment).items()}
    return fields | _overruled(experiment)


def _overruled(experiment: config.Experiment) -> dict[str, str]:
    """Name the axis that is trained in the place of a field."""
    return {
        axis.field: f"see grid.{name}"
        for name, axis in AXES.items()
        if axis.field and getattr(experiment.grid, name)
    }


def _defaults(experiment: config.Experiment) -> dict[str, str]:
    """Return the default of each field; of an option of a choice, the one of this experiment's choice."""
    model, optimizer = config.Model(experiment.model.name), config.Optimizer(experiment.optimizer.name)
    options = _texts(filled(config.Experiment(model=model, optimizer=optimizer)))
    names = {f"{name}.name": repr(getattr(config.Experiment(), name).name) for name in CHOICES}
    return options | names | _overruled(experiment)


def config_file(experiment: config.Experiment) -> str:
    """Write a config file whose `get_config` returns the experiment: the fields that differ from their defaults."""
    source = _source(experiment, filled(config.Experiment()), "    ")
    modules = sorted({"config", *re.findall(r"\b([a-z_]+)\.[A-Z]\w*\(", source)})
    return (
        f"from collapse_jax.experiment import {', '.join(modules)}\n\n\n"
        f'def get_config(arg: str = "") -> config.Experiment:\n    return {source}\n'
    )


def _source(value: Any, default: Any, indent: str) -> str:
    """Write a dataclass as the call that builds it, one differing field a line."""
    inner = indent + "    "
    lines = []
    for item in dataclasses.fields(value):
        new, old = getattr(value, item.name), getattr(default, item.name)
        # A nested default may differ from that of its class, so it is compared with the one it replaces.
        if new != old:
            nested = dataclasses.is_dataclass(new) and not isinstance(new, type)
            text = _source(new, type(new)(), inner) if nested else repr(new)
            lines.append(f"{inner}{item.name}={text},\n")
    kind = type(value)
    home = "config" if hasattr(config, kind.__name__) else kind.__module__.rpartition(".")[2]
    name = f"{home}.{kind.__name__}"
    return f"{name}(\n{''.join(lines)}{indent})" if lines else f"{name}()"


def _command(sweep: Sweep) -> str:
    words = ["python", "-m", "collapse_jax", "train", "--config=repeat.py", "--workdir=runs/again"]
    # Programs and shards have a packing each, which is chosen again.
    packing = sweep.manifests[0]["packing"] if len(sweep.manifests) == 1 else {}
    words += [f"--config.packing.{k}={packing[k]}" for k in ("devices", "runs_per_tile") if k in packing]
    return shlex.join(words)
