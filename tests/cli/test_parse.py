"""Overrides of a config on the command line."""

import pathlib
import re

import numpy as np
import pytest

from collapse_jax import load_config
from collapse_jax.cli.commands import COMMANDS
from collapse_jax.cli.parse import flags_help, parse
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.typed import field_types, from_text
from collapse_jax.planning import bench

CONFIG = str(pathlib.Path(__file__).parents[2] / "configs" / "quickstart.py")


def experiment(*overrides):
    return parse(["train", f"--config={CONFIG}:smoke", *overrides, "--workdir=w"]).experiment


def test_of_a_repeated_flag_the_last_wins():
    """Tuples too: they are not joined."""
    given = experiment("--config.grid.seed=0,1,2", "--config.steps=7", "--config.grid.seed=5", "--config.steps=9")
    assert (given.grid.seed, given.steps) == ((5,), 9)
    assert experiment("--config.model.hidden=(3,3,3)", "--config.model.hidden=4,5").model.hidden == (4, 5)
    assert parse(["measure", "--measures=fit", "--measures=norms", "--workdir=w"]).flags.measures == "norms"


def test_what_is_not_given_is_as_the_file_has_it():
    assert experiment() == load_config(f"{CONFIG}:smoke")


def test_from_python_fields_are_what_they_are_on_the_command_line():
    given = {"grid.seed": range(3), "grid.weight_decay": np.array([0.1, 0.01]), "measures": ["fit"], "steps": 9.0}
    flags = ["--config.grid.seed=0,1,2", "--config.grid.weight_decay=0.1,0.01", "--config.measures=fit"]
    assert load_config(pathlib.Path(f"{CONFIG}:smoke"), given) == experiment(*flags, "--config.steps=9")
    with pytest.raises(ConfigError, match=r"^grid.sed=1: unknown field; did you mean 'grid.seed'\?$"):
        load_config(CONFIG, {"grid.sed": 1})
    with pytest.raises(ConfigError, match=r"^steps='9': must be a whole number$"):
        load_config(CONFIG, {"steps": "9"})
    assert load_config(CONFIG, {"task.dataset": pathlib.Path("a/b.npz")}).task.dataset == "a/b.npz"
    for wrong in ((3,), (CONFIG, ["steps"])):
        with pytest.raises(ConfigError, match=r"^(config=3: must be a path|fields=\['steps'\]: must be a dict)"):
            load_config(*wrong)
    with pytest.raises(ConfigError, match=r"^config='nope.py': no file"):
        load_config("nope.py")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "1e5", 100_000),
        (int, "1_000", 1000),
        (float, "3", 3.0),
        (bool, "True", True),
        (bool, "0", False),
        (str, "('a',)", "('a',)"),
        (tuple[int, ...], "7", (7,)),
        (tuple[int, ...], "[1, 2e0]", (1, 2)),
        (tuple[float, ...], "1e-3,1", (1e-3, 1.0)),
        (tuple[str, ...], "fit, norms", ("fit", "norms")),
        (tuple[str, ...], "('fit','norms')", ("fit", "norms")),
        (tuple[int, ...] | None, "None", None),
        (tuple[int, ...] | None, "1,2", (1, 2)),
        (str | None, "None", None),
        (str | None, "relu", "relu"),
        (int | None, "3", 3),
        (bool | None, "false", False),
    ],
)
def test_text_becomes_a_value_of_the_declared_type(kind, text, value):
    found = from_text("x", kind, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "2.5"),
        (int, "nan"),
        (int, "None"),
        (float, "1e999"),
        (bool, "2"),
        (tuple[int, ...], "1,x"),
        (int, "(1,)"),
    ],
)
def test_other_text_is_refused_by_name(kind, text):
    with pytest.raises(ConfigError, match=r"^x=.*must be (a (whole )?number|True or False|finite)"):
        from_text("x", kind, text)


def test_flags_are_written_as_absl_takes_them():
    ways = (["--config.steps=3"], ["--config.steps", "3"], ["-config.steps=3"])
    assert {experiment(*way).steps for way in ways} == {3}
    assert experiment("--config.task.balanced").task.balanced
    assert not experiment("--config.task.balanced", "--noconfig.task.balanced").task.balanced


def test_a_field_that_is_not_there_is_named_with_the_closest():
    cases = {
        "grid.sed=1": r"--config.grid.sed='1': unknown field; did you mean 'grid.seed'\?",
        "packing=2": "--config.packing='2': is a group of fields: packing.devices, packing.runs_per_tile",
    }
    for override, said in cases.items():
        with pytest.raises(ConfigError, match=f"^{said}$"):
            experiment(f"--config.{override}")


def test_every_field_of_an_experiment_has_a_flag_and_every_command_a_help():
    assert set(field_types(Experiment)) >= {"grid.weight_decay", "model.hidden", "snapshots.schedule.at", "steps"}
    for name, command in COMMANDS.items():
        shown = flags_help(name)
        assert shown.startswith(f"collapse-jax {f'{name} {command.argument}'.strip()}: {command.help}")
        assert set(re.findall(r"--([\w.]+):", shown)) >= set(command.flags)
        taken = parse([name, *command.example.replace("configs/quickstart.py", CONFIG).split()])
        assert (taken.experiment is None, taken.workdir is None) == (
            not command.needs_config,
            not command.needs_workdir,
        )


def test_bench_prints_the_flags_of_the_fastest_packing():
    timings = [bench.Timing(2, 1, 200.0, 1e6, 1e6, 1e9), bench.Timing(1, 4, 100.0, 1e6, 1e6, 1e9)]
    last = bench.report(Experiment(), timings).splitlines()[-1]
    flags = last.removeprefix("fastest: ").split()
    packing = experiment(*flags).packing
    assert (packing.devices, packing.runs_per_tile) == (2, 1)
