"""Measures what a sweep stored: streams its snapshots, measures all runs in batches, keeps what is done."""

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import ConfigError, DamagedError, StoreError, WorkdirError, require
from collapse_jax.experiment.typed import plain
from collapse_jax.measuring import MEMORY
from collapse_jax.measuring.batches import Batch, compile_batch, shapes_of, taken_alone, usable_devices
from collapse_jax.measuring.files import MeasureFile
from collapse_jax.measuring.host import finish_each
from collapse_jax.measuring.requests import Request, make_requests
from collapse_jax.measuring.rows import gathered, living_at, scattered
from collapse_jax.measuring.snapshots import StoredSnapshots, open_snapshots
from collapse_jax.system import runtime
from collapse_jax.system.files import is_there
from collapse_jax.system.paths import path_of
from collapse_jax.system.progress import Progress, say
from collapse_jax.workdir.results import RESULTS, open_results
from collapse_jax.workdir.tree import leaves

# A killed command loses at most what it measured in so many seconds.
SAVE_SECONDS = 5.0
# Snapshots are measured together until there are so many runs: small grids fill devices and tiles too.
RUNS_TOGETHER = 32


def _all(kind: Any, values: Any) -> bool:
    return isinstance(values, Sequence) and all(isinstance(value, kind) for value in values)


# What the arguments of `measure` may be, and how to say so.
ARGUMENTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "measures": (
        "must be names or functions, one or several",
        lambda value: (
            isinstance(value, Sequence) and all(callable(each) or isinstance(each, str) for each in value)
        ),
    ),
    "splits": ("must be train, test or both", functools.partial(_all, str)),
    "steps": ("must be whole numbers", lambda value: value is None or _all(int | np.integer, value)),
    "test_size": ("must be a whole number or None", lambda value: value is None or isinstance(value, int)),
    "options": ('must be a dict, such as {"k": 3}', lambda value: isinstance(value, Mapping)),
    "label": ("must be text", lambda value: isinstance(value, str)),
    "memory": (
        "must be > 0, a number of bytes",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value > 0,
    ),
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is to be measured; see `measure`."""

    measures: Sequence[str | Callable[..., Any]]
    splits: Sequence[str] = ()
    steps: Sequence[int] | None = None
    test_size: int | None = None
    ood: str | os.PathLike[str] | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    label: str = ""
    memory: float = MEMORY
    trust: bool = False

    def __post_init__(self) -> None:
        """Refuse arguments of a wrong kind."""
        for name, (allowed, holds) in ARGUMENTS.items():
            value = getattr(self, name)
            require(holds(value), name, value, allowed)


def measure(
    workdir: str | os.PathLike[str],
    measures: str | Callable[..., Any] | Sequence[str | Callable[..., Any]],
    *,
    splits: str | Sequence[str] = (),
    steps: int | Sequence[int] | None = None,
    test_size: int | None = None,
    ood: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    label: str = "",
    memory: float = MEMORY,
    trust: bool = False,
) -> xr.Dataset:
    """Measure the stored snapshots of a sweep: any measure, batched over runs and snapshots.

    Values go to `<workdir>/measures/<name>.nc`, which `open_results` joins. The file is written every few seconds,
    whole or not at all; the same call continues where an earlier one stopped and takes no step twice. Other
    options, another test set or a changed file of your own measure everything anew; the earlier file is kept in
    `measures/other_options`, and is taken back when it is asked for again. `label` keeps both in the results
    under different names.

    Where the sweep stored parameters, features, logits and layers are computed again from the task's data, on as
    many test examples as you like; else the stored ones are measured. With the defaults the values are those that
    the same measure gives in-line, up to rounding. From the step at which a run diverged its values are nan.

    Example:
      >>> results = collapse_jax.measure("runs/mnist_mlp", ["nhsic"], test_size=1000)  # doctest: +SKIP
      >>> results.superfluous_nhsic.sel(weight_decay=0.1).mean("seed").plot()  # doctest: +SKIP

    Args:
      workdir: directory of the sweep, finished or still training.
      measures: names (`collapse_jax.measures.MEASURES` holds them), a function of a `Snapshot` that returns a
        number or a dict of numbers, or "FILE.py:FUNCTION"; one or several.
      splits: "train" or "test" for measures with the option `split`; with both, the variables are named
        `<variable>_train` and `<variable>_test`.
      steps: snapshot steps, one or several; None measures all that are stored.
      test_size: test examples, the first ones; None: those of the in-line measures (or those stored), 0: all.
      ood: .npz file with the array `inputs`, examples from outside the distribution in the task's form.
      options: options of the measures, each passed to those that take it.
      label: added to the names of the variables and of the file.
      memory: bound on the bytes of arrays in use (data, a snapshot of all runs, working memory), on CPU in total,
        else on each device. jax and Python themselves take 0.3 to 0.5 GB more.
      trust: run the file of a model or task of one's own that the workdir names, although it, or the workdir, is
        another user's.

    Returns:
      The results, as `open_results(workdir)` reads them.

    Raises:
      ConfigError: an argument is not allowed, or the snapshots lack what a measure needs.
      WorkdirError: there is no sweep, or it stored no snapshots.
      StoreError: a snapshot is damaged (raised at the end: the others are measured), or a file cannot be written.
    """
    several = measures if not isinstance(measures, str) and isinstance(measures, Sequence) else [measures]
    divided = [splits] if isinstance(splits, str) else splits
    chosen = [split for split in divided if split] if isinstance(divided, Sequence) else divided
    steps, test_size, memory = plain(steps), plain(test_size), plain(memory)
    listed = [steps] if isinstance(steps, int) else steps
    asked = Asked(several, chosen, listed, test_size, ood, {} if options is None else options, label, memory, trust)
    measure_files(workdir, asked)
    return open_results(workdir)


def measure_files(workdir: str | os.PathLike[str], asked: Asked) -> list[epath.Path]:
    """Do what `measure` says in every leaf of a workdir, and return the files written."""
    if asked.test_size == 1:
        raise ConfigError(
            "test_size", 1, "must be 0 (all) or at least 2: one example has no variance and no neighbour"
        )
    runtime.start()
    written, damaged = [], []
    for leaf in leaves(path_of("workdir", workdir)):
        if leaf.text:
            say(leaf.text)
        try:
            written += _measure_leaf(leaf.path, asked)
        except StoreError as error:  # keeps no other leaf from being measured
            damaged.append(f"{leaf.label}{error}")
    if damaged:
        raise StoreError("; ".join(damaged))
    if not written:
        raise WorkdirError(f"workdir={workdir}: none of its parts has begun")
    return written


def _measure_leaf(workdir: epath.Path, asked: Asked) -> list[epath.Path]:
    snapshots = open_snapshots(workdir, test_size=asked.test_size, ood=asked.ood, trust=asked.trust)
    try:
        with runtime.numbers(snapshots.experiment):
            requests = make_requests(snapshots, asked.measures, asked.splits, asked.options, asked.label)
            shapes = [shapes_of(request, snapshots) for request in requests]
            chosen = _choose_steps(snapshots, asked.steps)
            in_line = open_results(workdir / RESULTS) if is_there(workdir / RESULTS) else None
            files = [MeasureFile(workdir, r, snapshots, s, in_line) for r, s in zip(requests, shapes, strict=True)]
            _warn_of_clashes(in_line, requests, files)
            living = living_at(chosen, len(snapshots.runs), in_line)
            Measurement(snapshots, list(zip(requests, files, strict=True)), living, asked.memory).run()
    finally:
        snapshots.close()
    return [file.path for file in files]


def _choose_steps(snapshots: StoredSnapshots, asked: Sequence[int] | None) -> list[int]:
    stored = snapshots.steps
    for step in asked or []:
        if step not in stored:
            raise ConfigError("steps", step, f"no snapshot of it; there are {', '.join(map(str, stored))}")
    return stored if asked is None else sorted(set(asked))


def _warn_of_clashes(in_line: xr.Dataset | None, requests: list[Request], files: list[MeasureFile]) -> None:
    if in_line is None:
        return
    for request, file in zip(requests, files, strict=True):
        names = [name for name in file.variables if name in in_line.data_vars]
        if names:
            some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            say(
                f"{request.name}: {some} were measured in-line too, and open_results keeps those; the new ones are "
                f"in {file.path.name} alone, or under names of their own with a label"
            )


class Measurement:
    """One call of `measure`: the steps that each measure lacks, group after group of snapshots."""

    def __init__(
        self,
        snapshots: StoredSnapshots,
        work: list[tuple[Request, MeasureFile]],
        living: Mapping[int, np.ndarray],
        memory: float,
    ):
        self.snapshots, self.work, self.living, self.memory = snapshots, work, living, memory
        # Of all that is asked, not of what is left of it: how many runs are taken together decides last bits, and a
        # call that continues another one must not change them.
        self.units = max(sum(map(len, living.values())), 1)
        self.lacking = [[step for step in living if step not in file.columns] for _, file in work]
        self.damaged: list[str] = []
        self._batches: dict[str, Batch] = {}

    def run(self) -> None:
        """Measure, save, and at the end raise `StoreError` if snapshots were damaged."""
        runs = len(self.snapshots.runs)
        progress = Progress(sum(map(len, self.lacking)) * runs, 0, "measured runs")
        saved = time.monotonic()
        try:
            for group in self._groups():
                parts = self._load(group)
                for (request, file), lacking in zip(self.work, self.lacking, strict=True):
                    todo = [step for step in parts if step in lacking]
                    if todo:
                        self._take(request, file, {step: parts[step] for step in todo})
                    progress.add(runs * sum(step in lacking for step in group), request.name)
                if time.monotonic() - saved > SAVE_SECONDS:
                    self._save()
                    saved = time.monotonic()
        finally:
            progress.close()
            self._save()
        if self.damaged:
            raise StoreError(
                f"incomplete: {len(self.damaged)} damaged snapshot(s) left out: {'; '.join(self.damaged)}; "
                "delete them to go without"
            )

    def _groups(self) -> Iterator[list[int]]:
        steps = sorted(set().union(*self.lacking))
        alone = any(taken_alone(request) for request, _ in self.work)  # slow ones, to be saved step by step
        size = 1 if alone else max(1, RUNS_TOGETHER // len(self.snapshots.runs))
        for start in range(0, len(steps), size):
            yield steps[start : start + size]

    def _load(self, steps: list[int]) -> dict[int, Any]:
        parts = {}
        for step in steps:
            try:
                parts[step] = self.snapshots.parts(step)
            except DamagedError as error:
                say(f"skipped a snapshot: {error}")
                self.damaged.append(str(error))
        return parts

    def _take(self, request: Request, file: MeasureFile, parts: dict[int, Any]) -> None:
        if request.name not in self._batches:
            self._save()  # compiling may take minutes, and a signal ends the process there
            say(f"{request.name}: compiling ...")
            began = time.monotonic()
            batch = compile_batch(request, self.snapshots, self.units, usable_devices(), self.memory)
            took, layout = time.monotonic() - began, batch.layout
            say(
                f"{request.name}: compiled in {took:.1f} s; {layout.runs} run(s) at a time on {layout.devices} "
                f"device(s), {batch.bytes / 1e6:,.0f} MB of {self.memory / 1e6:,.0f}"
            )
            self._batches[request.name] = batch
        rows = [self.living[step] for step in parts]
        stacked = gathered(list(parts.values()), rows)
        values = finish_each(request.measure, self._batches[request.name].take(stacked))
        for step, column in zip(parts, scattered(values, rows, len(self.snapshots.runs)), strict=True):
            file.add(step, column)

    def _save(self) -> None:
        for _, file in self.work:
            file.save()
