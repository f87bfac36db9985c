"""What each command does. Heavy modules are imported by the commands, after jax has been set up."""

import dataclasses
from collections.abc import Callable

from absl import flags
from etils import epath

from collapse_jax.cli import measure_flags as measure_command
from collapse_jax.engine import shards
from collapse_jax.errors import StoreError, WorkdirError
from collapse_jax.experiment import config, static_axes
from collapse_jax.planning import bench as calibration
from collapse_jax.system import processes, runtime


@dataclasses.dataclass
class Options:
    """What the user asked for.

    Attributes:
      workdir: directory of the sweep; None where the command takes none.
      experiment: None for commands that read a finished sweep.
      flags: all flags of the command.
    """

    workdir: epath.Path | None
    experiment: config.Experiment | None
    flags: flags.FlagValues


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand, whether it takes --config and --workdir, and what defines its other flags."""

    function: Callable[[Options], None]
    needs_config: bool = False
    needs_workdir: bool = True
    define_flags: Callable[[flags.FlagValues], None] = lambda values: None


def _train_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool("figures", True, "draw the figures when the training is done", flag_values=values)
    flags.DEFINE_string("shard", None, "only part i/n of the grid, 0 <= i < n", flag_values=values)
    flags.DEFINE_bool("distributed", False, "one of several processes of a job", flag_values=values)


def _train(options: Options) -> None:
    assert options.experiment is not None
    assert options.workdir is not None
    shard, distributed = shards.parse_shard(options.flags.shard), options.flags.distributed
    if shard != shards.WHOLE or distributed:
        _train_part(options.experiment, options.workdir, shard, distributed)
        return
    experiment = calibration.settle_packing(options.experiment, options.workdir)
    runtime.start(calibration.devices_of(experiment, options.workdir), experiment.precision)
    from collapse_jax.engine import sweep

    sweep.train(experiment, options.workdir)
    if options.flags.figures:
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
            _merge_shards(workdir)


def _merge_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool("partial", False, "also shards that are not finished", flag_values=values)


def _merge(options: Options) -> None:
    assert options.workdir is not None
    _merge_shards(options.workdir, partial=options.flags.partial)


def _merge_shards(workdir: epath.Path, *, partial: bool = False) -> None:
    from collapse_jax.engine import merge
    from collapse_jax.workdir.results import RESULTS

    merge.merge(workdir, partial=partial)
    for folder in [folder for _, folder in static_axes.program_folders(workdir)] or [workdir]:
        print(folder / RESULTS)


def _plan_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("target", None, "chip:topology, such as tpu-v5e:2x2 or h100:8", flag_values=values)


def _plan(options: Options) -> None:
    assert options.experiment is not None
    from collapse_jax import planning as plan

    for name, experiment in _each_program(options.experiment):
        print(f"{name}{plan.plan(experiment, options.flags.target)}")


def _bench(options: Options) -> None:
    assert options.experiment is not None
    from collapse_jax.engine.validate import validate

    for name, experiment in _each_program(validate(options.experiment)):
        print(f"{name}{calibration.report(experiment, calibration.calibrate(experiment))}")


def _each_program(experiment: config.Experiment) -> list[tuple[str, config.Experiment]]:
    """Return a heading and the experiment of each program; no heading for a grid without static axes."""
    programs = static_axes.programs_of(experiment)
    return [(f"{p.name}\n", p.experiment) for p in programs] or [("", experiment)]


def _prepare_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("dataset", None, "data set of TFDS, or vocabulary", flag_values=values)
    flags.DEFINE_string("data_dir", "", "where prepared data goes; ~/tensorflow_datasets", flag_values=values)
    flags.DEFINE_string("manual_dir", None, "folder of files at hand", flag_values=values)
    flags.DEFINE_string("order", "official", "official or tfds", flag_values=values)


def _prepare(options: Options) -> None:
    from collapse_jax.tasks import prepare

    prepare.run(options.flags)


def _plot(options: Options) -> None:
    from collapse_jax import figures as plots

    assert options.workdir is not None
    results = open_results(options.workdir)
    thresholds = thresholds_of(results)
    if options.workdir.is_file():
        raise WorkdirError(f"workdir={options.workdir}: figures are drawn into a directory, and this is a file")
    for path in plots.draw(results, thresholds, options.workdir / "figures", options.workdir):
        print(path)


def _measure(options: Options) -> None:
    assert options.workdir is not None
    runtime.start(devices=1)
    measure_command.run(options.workdir, options.flags)


def _report_flags(values: flags.FlagValues) -> None:
    text = "file to write; report.html in the workdir, comparison.html in the first of several"
    flags.DEFINE_string("out", "", text, flag_values=values)


def _report(options: Options) -> None:
    runtime.start(devices=1)
    from collapse_jax.reporting import report

    workdirs = [item.strip() for item in options.flags.workdir.split(",")]
    print(report([workdir for workdir in workdirs if workdir], options.flags.out or None))


def _show(options: Options) -> None:
    from collapse_jax.analysis import tables

    assert options.workdir is not None
    results = open_results(options.workdir)
    thresholds = thresholds_of(results)
    print(tables.runs_table(results, thresholds))
    print(tables.seeds_table(results, thresholds))


def _verify(options: Options) -> None:

    assert options.workdir is not None
    damaged = 0
    for name, wrong in verify_workdir(options.workdir):
        print(f"{name}: {wrong or 'good'}")
        damaged += bool(wrong)
    if damaged:
        raise StoreError(f"workdir={options.workdir}: {damaged} damaged; see docs/reliability.md for what to do")


COMMANDS: dict[str, Command] = {
    "train": Command(_train, needs_config=True, define_flags=_train_flags),
    "merge": Command(_merge, define_flags=_merge_flags),
    "plan": Command(_plan, needs_config=True, needs_workdir=False, define_flags=_plan_flags),
    "measure": Command(_measure, define_flags=measure_command.define_flags),
    "plot": Command(_plot),
    "report": Command(_report, define_flags=_report_flags),
    "show": Command(_show),
    "verify": Command(_verify),
    "bench": Command(_bench, needs_config=True, needs_workdir=False),
    "prepare": Command(_prepare, needs_workdir=False, define_flags=_prepare_flags),
}
