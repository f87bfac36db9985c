"""The commands and their flags. Heavy modules are imported by the commands, after jax has been set up."""

import dataclasses
import difflib
import re
from collections.abc import Callable

from absl import flags
from etils import epath
from ml_collections import config_flags

from collapse_jax import calibration, config, identity, runtime, shards, static_axes
from collapse_jax import distributed as processes
from collapse_jax.errors import ConfigError, StoreError, WorkdirError, unknown
from collapse_jax.remeasure import command as measure_command
from collapse_jax.typed import typed


@dataclasses.dataclass
class Options:
    """What the user asked for; `experiment` is None for commands that read a finished sweep."""

    workdir: epath.Path | None
    experiment: config.Experiment | None
    figures: bool
    shard: str | None = None
    distributed: bool = False
    partial: bool = False
    target: str | None = None
    given: flags.FlagValues | None = None


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand, whether it takes --config and --workdir, and what defines further flags."""

    function: Callable[[Options], None]
    needs_config: bool = False
    needs_workdir: bool = True
    define_flags: Callable[[flags.FlagValues], None] | None = None


def parse(argv: list[str]) -> Options:
    """Read the command line; overrides of the config are applied and typed by ml_collections.

    Raises:
      ConfigError: an argument is unknown, malformed or missing.
    """
    if argv[0] not in COMMANDS:
        raise ConfigError("command", argv[0], unknown("command", argv[0], COMMANDS))
    command = COMMANDS[argv[0]]
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "directory of the sweep", flag_values=values)
    flags.DEFINE_bool("figures", True, "draw the figures when the training is done", flag_values=values)
    flags.DEFINE_string("shard", None, "train: only part i/n of the grid, 0 <= i < n", flag_values=values)
    flags.DEFINE_bool("distributed", False, "train: one of several processes of a job", flag_values=values)
    flags.DEFINE_bool("partial", False, "merge: also shards that are not finished", flag_values=values)
    flags.DEFINE_string("target", None, "plan: chip:topology, such as tpu-v5e:2x2 or h100:8", flag_values=values)
    if command.needs_config:
        config_flags.DEFINE_config_file("config", None, "config file and its argument", flag_values=values)
    if command.define_flags is not None:
        command.define_flags(values)
    experiment = _parse_flags(values, argv)
    if command.needs_workdir and not values.workdir:
        raise ConfigError("--workdir", values.workdir, "name the directory of the sweep")
    workdir = epath.Path(values.workdir).expanduser() if values.workdir else None
    return Options(
        workdir,
        experiment,
        figures=values.figures,
        shard=values.shard,
        distributed=values.distributed,
        partial=values.partial,
        target=values.target,
        given=values,
    )


def _parse_flags(values: flags.FlagValues, argv: list[str]) -> config.Experiment | None:
    """Parse, and translate what ml_collections and the config file raise into one clear line."""
    try:
        left_over = values(argv)
        experiment = values["config"].value if "config" in values else None
        if experiment is not None and not isinstance(experiment, config.Experiment):
            if type(experiment).__name__ == "_ErrorConfig":
                # ml_collections defers errors of the file to the first use of the config.
                experiment.steps  # noqa: B018
            raise ConfigError(
                "--config",
                _given(argv),
                f"get_config returned a {type(experiment).__name__}, not an Experiment",
            )
    except ConfigError:
        raise
    except flags.IllegalFlagValueError as error:
        # A config file that raises arrives here with its traceback inside the message.
        raise ConfigError(*_split_flag_error(str(error))) from None
    except flags.Error as error:
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    except KeyError as error:
        raise _unknown_field(str(error.args[0]), argv) from None
    except OSError:  # so ml_collections reports a file that it could not load
        raise ConfigError("--config", _given(argv), "no such file") from None
    except Exception as error:  # whatever the user's config file does
        raise ConfigError("--config", _given(argv), f"{type(error).__name__}: {error}") from None
    if len(left_over) > 1:
        raise ConfigError("argument", left_over[1], "not understood; flags are --name=value")
    if "config" in values and experiment is None and _given(argv):
        raise ConfigError("--config", _given(argv), "get_config returned None, not an Experiment")
    if "config" in values and experiment is None:
        raise ConfigError("--config", None, "name a config file, such as configs/quickstart.py")
    return None if experiment is None else typed(experiment)


def _split_flag_error(message: str) -> tuple[str, str, str]:
    """Split "flag --config.steps=abc: reason" into field, value and the last line of the reason."""
    flag, _, reason = message.removeprefix("flag ").partition(": ")
    field, _, value = flag.partition("=")
    return field, value, reason.strip().splitlines()[-1] if reason.strip() else "not understood"


def _given(argv: list[str]) -> str:
    return next((a.partition("=")[2] for a in reversed(argv) if a.startswith(("--config=", "-config="))), "")


def _unknown_field(message: str, argv: list[str]) -> ConfigError:
    found = re.search(r"Field (\S+) not found on dataclass", message)
    if not found:
        return ConfigError("--config", _given(argv), message)
    known = identity.flatten(config.Experiment())
    asked = [re.sub(r"^--?config\.", "", a.partition("=")[0]) for a in argv if re.match(r"--?config\.", a)]
    field = next((a for a in asked if a.split(".")[-1] == found[1] and a not in known), found[1])
    close = difflib.get_close_matches(field, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"fields: {', '.join(known)}"
    return ConfigError(f"--config.{field}", _value_of(field, argv), f"unknown field; {hint}")


def _value_of(field: str, argv: list[str]) -> str:
    return next((a.partition("=")[2] for a in argv if a.lstrip("-").startswith(f"config.{field}=")), "")


def _train(options: Options) -> None:
    assert options.experiment is not None
    assert options.workdir is not None
    shard = shards.parse_shard(options.shard)
    if shard != shards.WHOLE or options.distributed:
        _train_part(options.experiment, options.workdir, shard, options.distributed)
        return
    experiment = calibration.settle_packing(options.experiment, options.workdir)
    runtime.start(calibration.devices_of(experiment, options.workdir), experiment.precision)
    from collapse_jax import sweep

    sweep.train(experiment, options.workdir)
    if options.figures:
        _plot(options)


def _train_part(experiment: config.Experiment, workdir: epath.Path, asked: shards.Shard, distributed: bool) -> None:
    """Train one shard; of several processes the first merges them when all are done."""
    if not distributed:
        experiment = calibration.settle_packing(experiment, asked.folder(workdir))
        runtime.start(experiment.packing.devices, experiment.precision)
        shards.train_shard(experiment, workdir, asked)
        return
    runtime.start(experiment.packing.devices, experiment.precision)
    shard = processes.start(asked)
    with processes.ending_together():
        experiment = calibration.settle_packing(experiment, shard.folder(workdir))
        shards.train_shard(experiment, workdir, shard)
        if processes.wait_for_all() and asked == shards.WHOLE:
            _merge(Options(workdir, None, figures=False))


def _merge(options: Options) -> None:
    from collapse_jax import merge, store

    assert options.workdir is not None
    merge.merge(options.workdir, partial=options.partial)
    print(options.workdir / store.RESULTS)


def _plan(options: Options) -> None:
    assert options.experiment is not None
    from collapse_jax import plan

    for name, experiment in _each_program(options.experiment):
        print(f"{name}{plan.plan(experiment, options.target)}")


def _bench(options: Options) -> None:
    assert options.experiment is not None
    from collapse_jax.validate import validate

    for name, experiment in _each_program(validate(options.experiment)):
        print(f"{name}{calibration.report(experiment, calibration.calibrate(experiment))}")


def _each_program(experiment: config.Experiment) -> list[tuple[str, config.Experiment]]:
    """Return a heading and the experiment of each program; no heading for a grid without static axes."""
    programs = static_axes.programs_of(experiment)
    return [(f"{p.name}\n", p.experiment) for p in programs] or [("", experiment)]


def define_prepare_flags(values: flags.FlagValues) -> None:
    """Define the flags of `prepare`; see its module for what they mean."""
    flags.DEFINE_string("dataset", None, "data set of TFDS, or vocabulary", flag_values=values)
    flags.DEFINE_string("data_dir", "", "where prepared data goes; ~/tensorflow_datasets", flag_values=values)
    flags.DEFINE_string("manual_dir", None, "folder of files at hand", flag_values=values)
    flags.DEFINE_string("order", "official", "official or tfds", flag_values=values)


def _prepare(options: Options) -> None:
    from collapse_jax import prepare

    assert options.given is not None
    prepare.run(options.given)


def _plot(options: Options) -> None:
    from collapse_jax import plots, store

    assert options.workdir is not None
    results = store.open_results(options.workdir)
    for path in plots.draw(results, store.thresholds_of(results), options.workdir / "figures", options.workdir):
        print(path)


def _measure(options: Options) -> None:
    assert options.workdir is not None
    assert options.given is not None
    runtime.start(devices=1)
    measure_command.run(options.workdir, options.given)


def define_report_flags(values: flags.FlagValues) -> None:
    """Define the flag of `report`, whose --workdir takes several directories."""
    text = "file to write; report.html in the workdir, comparison.html in the first of several"
    flags.DEFINE_string("out", "", text, flag_values=values)


def _report(options: Options) -> None:
    assert options.given is not None
    runtime.start(devices=1)
    from collapse_jax.reporting import report

    workdirs = [item.strip() for item in options.given.workdir.split(",")]
    print(report([workdir for workdir in workdirs if workdir], options.given.out or None))


def _show(options: Options) -> None:
    from collapse_jax import store
    from collapse_jax.analysis import tables

    assert options.workdir is not None
    results = store.open_results(options.workdir)
    thresholds = store.thresholds_of(results)
    print(tables.runs_table(results, thresholds))
    print(tables.seeds_table(results, thresholds))


def _verify(options: Options) -> None:
    from collapse_jax import store

    assert options.workdir is not None
    damaged = 0
    for name, wrong in store.verify_workdir(options.workdir):
        print(f"{name}: {wrong or 'good'}")
        damaged += bool(wrong)
    if damaged:
        raise StoreError(f"workdir={options.workdir}: {damaged} damaged; see docs/reliability.md for what to do")


COMMANDS: dict[str, Command] = {
    "train": Command(_train, needs_config=True),
    "merge": Command(_merge),
    "plan": Command(_plan, needs_config=True, needs_workdir=False),
    "measure": Command(_measure, define_flags=measure_command.define_flags),
    "plot": Command(_plot),
    "report": Command(_report, define_flags=define_report_flags),
    "show": Command(_show),
    "verify": Command(_verify),
    "bench": Command(_bench, needs_config=True, needs_workdir=False),
    "prepare": Command(_prepare, needs_workdir=False, define_flags=define_prepare_flags),
}

__all__ = ["COMMANDS", "Options", "WorkdirError", "parse"]
