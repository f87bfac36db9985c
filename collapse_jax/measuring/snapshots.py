"""The snapshots of a sweep, read from its workdir: complete again where parameters were stored."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from collapse_jax import tasks, training
from collapse_jax.engine.compile import snapshot_run
from collapse_jax.errors import ConfigError, DamagedError, StoreError, WorkdirError, require
from collapse_jax.experiment import config, grid
from collapse_jax.experiment.typed import plain
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.needs import held
from collapse_jax.measuring.outside import read_outside
from collapse_jax.system import runtime
from collapse_jax.system.paths import path_of
from collapse_jax.training.hyperparameters import stack_hyperparameters
from collapse_jax.workdir.record import cut_of, read_experiment, read_record, refuse_other_data
from collapse_jax.workdir.tree import leaves
from collapse_jax.workdir.trees import TreeStore, from_flat
from collapse_jax.workdir.trust import require_trust

PARAMETERS = "parameters"
RUN, STEP = "hyperparameters", "step"  # of the parts of a run, beside what is stored


def open_snapshots(
    workdir: str | os.PathLike[str],
    *,
    test_size: int | None = None,
    ood: str | os.PathLike[str] | None = None,
    trust: bool = False,
) -> "StoredSnapshots":
    """Open the snapshots of a sweep, finished or still training, for reading.

    Example:
      >>> snapshots = collapse_jax.open_snapshots("runs/mnist_mlp")  # doctest: +SKIP
      >>> run = snapshots.snapshot(snapshots.steps[-1], {"weight_decay": 0.1, "seed": 42})  # doctest: +SKIP
      >>> run.test.features.shape  # doctest: +SKIP
      (10000, 200)

    Args:
      workdir: directory of the sweep.
      test_size: test examples of a snapshot, the first ones. None: those of the in-line measures where parameters
        were stored, else those that were stored; 0: all that the task holds.
      ood: .npz file with the array `inputs` [M, ...]: examples from outside the distribution, prepared as the
        task prepares its own (see the task's `load`). Needs stored parameters.
      trust: run the file of a model or task of one's own that the workdir names, although it, or the workdir, is
        another user's.

    Raises:
      WorkdirError: there is no sweep, it has no snapshots, or it names code that has changed or is not trusted.
      ConfigError: `test_size` or `ood` asks for what was not stored.
    """
    test_size = plain(test_size)
    whole = test_size is None or isinstance(test_size, int)
    require(whole, "test_size", test_size, "must be a whole number or None")
    runtime.start()
    return StoredSnapshots(path_of("workdir", workdir), test_size, ood, trust)


class StoredSnapshots:
    """Snapshots of all runs of a sweep, by step; make one with `open_snapshots`.

    Where the parameters were stored, features, logits and layers are computed from them and from the task's data;
    else they are the stored ones, and labels and inputs come from the task.

    Attributes:
      experiment: the config of the sweep.
      fingerprint: names the experiment; see `identity.fingerprint`.
      runs: hyperparameters of every run, in the order of the run axis.
      content: what was stored; see `config.Snapshots`.
      data: the task's examples; its test set has the size of the test probe.
      ood: inputs from outside the distribution, or None.
      ood_hash: names the content of their file.
    """

    def __init__(
        self, workdir: epath.Path, test_size: int | None, ood: str | os.PathLike[str] | None, trust: bool = False
    ):
        record = read_record(workdir)
        if cut_of(record):
            names = ", ".join(leaf.below for leaf in leaves(workdir))
            raise WorkdirError(f"workdir={workdir}: is cut into parts; name one of its leaves: {names}")
        self.experiment, self.fingerprint = read_experiment(record), record["fingerprint"]
        require_trust(workdir, record, self.experiment, trust)
        self.runs = grid.grid_runs(self.experiment.grid)
        self.content = self.experiment.snapshots.content
        directory = workdir / "snapshots"
        if not self.content:
            raise WorkdirError(f"workdir={workdir}: the sweep stored no snapshots (snapshots.content is empty)")
        self._store = TreeStore(directory, fingerprint=self.fingerprint) if directory.is_dir() else None
        if not self.steps:
            raise WorkdirError(f"workdir={workdir}: no snapshot is stored yet")
        self.recomputed = PARAMETERS in self.content
        task = self.experiment.task
        task = config.Task(**{**vars(task), "test_size": self._test_size(test_size)})
        self.data = tasks.load(task, self.experiment.dtype)
        refuse_other_data(workdir, record, tasks.record(self.data), part=True)
        self.recipe = training.make_recipe(self.experiment, self.data)
        self.ood, self.ood_hash = None, ""
        if ood is not None:
            if not self.recomputed:
                raise ConfigError("ood", str(ood), self.to_store(PARAMETERS))
            self.ood, self.ood_hash = read_outside(ood, self.data.train_inputs.shape[1:])

    def _test_size(self, asked: int | None) -> int:
        e = self.experiment
        held = tasks.find_task(e.task).test_size
        stored = e.snapshots.test_size or e.task.test_size or held
        if not self.recomputed and "test" in self.content:
            allowed = f"the snapshots hold {stored} test examples; {self.to_store(PARAMETERS)}"
            if asked is not None and not 0 < (asked or held) <= stored:
                raise ConfigError("test_size", asked, allowed)
            return asked or (held if asked == 0 else stored)
        if asked is not None and not 0 <= asked <= held:
            raise ConfigError("test_size", asked, f"must be in 0 ... {held} (0 means all)")
        return e.task.test_size if asked is None else asked

    def to_store(self, *parts: str) -> str:
        """Say with which config the snapshots would hold `parts` too."""
        content = tuple(dict.fromkeys((*self.content, *parts)))
        return f'to have it, train with --config.snapshots.content="{content}"'

    @property
    def steps(self) -> list[int]:
        """The steps that are stored, in ascending order."""
        return self._store.steps() if self._store else []

    @functools.cached_property
    def available(self) -> tuple[str, ...]:
        """The parts, of `measures.base.NEEDS`, that a snapshot has."""
        return held(self.shapes)

    @property
    def what_is_held(self) -> str:
        """Say what the snapshots hold."""
        return f"the snapshots hold {', '.join(self.content)}"

    @functools.cached_property
    def shapes(self) -> Snapshot:
        """The snapshot of one run with shapes in the place of arrays, complete."""
        build = functools.partial(self.build, layers=self.recomputed)
        with runtime.floats(self.experiment.dtype):
            return jax.eval_shape(build, self.parts_of_a_run, self.data, self.ood)

    @property
    def data_alone(self) -> Snapshot:
        """What `Measure.prepare` sees: both probes, with labels and inputs alone."""
        d = self.data
        sides = {"train": (d.train_labels, d.train_inputs), "test": (d.test_labels, d.test_inputs)}
        probes: dict[str, Any] = {
            kind: Probe(jnp.zeros((len(labels), 0)), labels, inputs=training.measurable(inputs))
            for kind, (labels, inputs) in sides.items()
        }
        return Snapshot(**probes, num_classes=d.num_classes)

    @property
    def drawn_per_run(self) -> bool:
        """Whether every run has examples or labels of its own."""
        h = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters(self.runs[:1]))
        return self.data.of(h) is not self.data

    def load(self, step: int) -> dict[str, np.ndarray]:
        """Read and verify all that was stored at a step: "train/features" and so on, each [R, ...].

        Raises:
          StoreError: there is no such step, or it is damaged.
        """
        return self._load(step, "")

    def _load(self, step: int, only: str) -> dict[str, np.ndarray]:
        if self._store is None or step not in self.steps:
            raise StoreError(f"step {step}: no snapshot; there are {', '.join(map(str, self.steps))}")
        return self._store.load(step, only)

    @functools.cached_property
    def parts_of_a_run(self) -> Any:
        """Shapes of what `build` takes of one run: only the parameters, where they were stored."""
        h = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters(self.runs[:1]))
        content = config.Snapshots(content=(PARAMETERS,) if self.recomputed else self.content, test_size=0)
        state = jax.eval_shape(functools.partial(training.init_run, self.recipe), h, self.data)
        stored = jax.eval_shape(functools.partial(snapshot_run, self.recipe, content), (state, h), self.data)
        return stored | {RUN: jax.eval_shape(lambda: h), STEP: jax.ShapeDtypeStruct((), np.int32)}

    def parts(self, step: int) -> Any:
        """Read what `build` takes, of all runs: a tree with leaves [R, ...].

        Raises:
          StoreError: the step is damaged.
        """
        flat = self._load(step, f"{PARAMETERS}/" if self.recomputed else "")
        flat = {name: leaf[:, : self._rows(name, leaf)] for name, leaf in flat.items()}
        try:
            stored = {name: like for name, like in self.parts_of_a_run.items() if name not in (RUN, STEP)}
            parts = from_flat(flat, stored)
        except KeyError as error:
            lacks = f"snapshot {step} is not what the experiment describes: {error} is missing"
            raise DamagedError(lacks) from None
        for found, expected in zip(jax.tree.leaves(parts), jax.tree.leaves(stored), strict=True):
            if found.shape != (len(self.runs), *expected.shape):
                raise DamagedError(f"snapshot {step} is not what the experiment describes: shape {found.shape}")
        h = jax.tree.map(np.asarray, stack_hyperparameters(self.runs))
        return parts | {RUN: h, STEP: np.full(len(self.runs), step, np.int32)}

    def _rows(self, name: str, leaf: np.ndarray) -> int | None:
        return len(self.data.test_labels) if name.startswith("test/") else None

    def build(self, parts: Any, data: tasks.Dataset, ood: Any, *, layers: bool = False) -> Snapshot:
        """Make the snapshot of one run from its parts; pure, to be compiled."""
        data = data.of(parts[RUN])
        if self.recomputed:
            params = parts[PARAMETERS]
            h, step = parts[RUN], parts[STEP]
            snapshot = training.observe_run(self.recipe, params, h, data, step=step, layers=layers)
            if ood is None:
                return snapshot
            nothing = jnp.zeros(len(ood), jnp.int32)
            outside = training.observe_probe(self.recipe, params, ood, nothing, layers=layers)
            return dataclasses.replace(snapshot, ood=outside)
        probes = {
            "train": (data.train_labels, data.train_inputs),
            "test": (data.test_labels, data.test_inputs),
        }
        built: dict[str, Any] = {
            kind: Probe(parts[kind]["features"], labels, parts[kind]["logits"], training.measurable(inputs))
            for kind, (labels, inputs) in probes.items()
            if kind in parts
        }
        head = parts.get("head", {})
        if "train" in built:
            built["train"] = dataclasses.replace(built["train"], true_labels=data.train_true_labels)
        return Snapshot(
            **built,
            head_kernel=head.get("kernel"),
            head_bias=head.get("bias"),
            hyperparameters=parts[RUN],
            step=parts[STEP],
            num_classes=data.num_classes,
        )

    def snapshot(self, step: int, run: int | Mapping[str, float] = 0) -> Snapshot:
        """Read one run at one step, complete, with the outputs of all hidden layers where parameters were stored.

        Args:
          step: one of `steps`.
          run: index of the run, or hyperparameters that single it out, such as {"weight_decay": 0.1, "seed": 42}.

        Raises:
          ConfigError: no run, or more than one, is meant.
          StoreError: the step is not there or damaged.
        """
        index = self._run_index(run)
        with runtime.numbers(self.experiment):
            parts = jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), self.parts(step))
            return self._build_with_layers(parts, self.data, self.ood)

    @functools.cached_property
    def _build_with_layers(self) -> Any:
        return jax.jit(functools.partial(self.build, layers=self.recomputed))

    def _run_index(self, run: int | Mapping[str, float]) -> int:
        if not isinstance(run, Mapping):
            if not 0 <= run < len(self.runs):
                raise ConfigError("run", run, f"must be in 0 ... {len(self.runs) - 1}")
            return int(run)
        for name in run:
            if name not in self.runs[0]:
                raise ConfigError("run", dict(run), f"{name!r} is none of {', '.join(self.runs[0])}")
        meant = [
            i
            for i, h in enumerate(self.runs)
            if all(np.isclose(h[k], v, rtol=1e-5, atol=0) for k, v in run.items())
        ]
        if len(meant) != 1:
            values = {name: sorted({h[name] for h in self.runs}) for name in run}
            raise ConfigError("run", dict(run), f"must single out one run, not {len(meant)}; there are {values}")
        return meant[0]

    def close(self) -> None:
        """Release the threads of the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
