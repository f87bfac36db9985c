"""Each tracking library itself, without a network: what is read back from its own store is what was told.

Of a library that is not installed the tests are skipped; `pip install "collapse-jax[tensorboard,mlflow]"` say.
"""

import gc

import pytest

from collapse_jax.tracking import TRACKERS, Run, find_tracker

RUN = Run(
    id="0123456789abcdef",
    name="weight_decay=0.1 seed=0",
    project="a project: 1/2",
    group="a project 77",
    config={"weight_decay": 0.1, "seed": 0, "task.balanced": False, "loss": "cross_entropy"},
    folder="",
)
OTHER = Run("fedcba9876543210", "weight_decay=0.1 seed=1", RUN.project, RUN.group, RUN.config, "")
ROWS = [(0, {"loss": 2.0}), (7, {"loss": 1.5, "rnc1/0": 0.25}), (20, {"loss": 1.0, "rnc1/0": 0.125})]


class TensorBoardStore:
    def __init__(self, folder):
        self.folder = folder / "tensorboard"

    def values(self, run):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        read = EventAccumulator(str(self.folder / run.name)).Reload()
        return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}

    def labels(self, run):
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.plugins.hparams import metadata

        files = sorted((self.folder / run.name).iterdir())
        found = {v.tag: v for file in files for e in EventFileLoader(str(file)).Load() for v in e.summary.value}
        content = found[metadata.SESSION_START_INFO_TAG].metadata.plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(content)
        config = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
        return config, start.group_name


class MLflowStore:
    def __init__(self, folder):
        from mlflow import MlflowClient

        self.client = MlflowClient()

    def _run(self, run):
        experiment = self.client.get_experiment_by_name(run.project)
        (found,) = [
            one for one in self.client.search_runs([experiment.experiment_id]) if one.info.run_name == run.name
        ]
        return found

    def values(self, run):
        found = self._run(run)
        histories = {name: self.client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
        return {name: [(m.step, m.value) for m in history] for name, history in histories.items()}

    def labels(self, run):
        found = self._run(run)
        kinds = {name: type(value) for name, value in run.config.items()}
        kinds["task.balanced"] = lambda text: text == "True"
        return {name: kinds[name](text) for name, text in found.data.params.items()}, found.data.tags["group"]


class TrackioStore:
    def __init__(self, folder):
        from trackio.sqlite_storage import SQLiteStorage

        self.storage = SQLiteStorage

    def values(self, run):
        found = {}
        for row in self.storage.get_logs(run.project, f"{run.name} {run.id[:6]}"):
            for name, value in row.items():
                if name not in ("step", "timestamp"):
                    found.setdefault(name, []).append((row["step"], value))
        return found

    def labels(self, run):
        config = self.storage.get_run_config(run.project, f"{run.name} {run.id[:6]}")
        return {name: value for name, value in config.items() if name[0] != "_"}, config["_Group"]


class WandBStore:
    def __init__(self, folder):
        self.folder = folder / "wandb"

    def _records(self, run):
        import json

        import wandb
        from wandb.proto.wandb_internal_pb2 import Record

        from collapse_jax.tracking import wandb_runs

        wandb.teardown()  # waits for the process that writes the files
        for file in sorted(self.folder.glob(f"offline-run-*-{run.id}/run-{run.id}.wandb")):
            for content in wandb_runs._records(file.read_bytes()):
                record = Record.FromString(content)
                yield (
                    record,
                    lambda items: {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items},
                )

    def values(self, run):
        found = {}
        for record, items in self._records(run):
            if record.WhichOneof("record_type") == "history":
                for name, value in items(record.history.item).items():
                    if name[0] != "_":
                        found.setdefault(name, []).append((record.history.step.num, value))
        return found

    def labels(self, run):
        config, group = {}, ""
        for record, items in self._records(run):
            if record.WhichOneof("record_type") == "run":
                assert (record.run.run_id, record.run.display_name) == (run.id, run.name)
                config |= items(record.run.config.update)
                group = record.run.run_group
        return {name: value for name, value in config.items() if name[0] != "_"}, group


STORES = {"tensorboard": TensorBoardStore, "wandb": WandBStore, "mlflow": MLflowStore, "trackio": TrackioStore}


@pytest.fixture(params=TRACKERS)
def library(request, tmp_path, monkeypatch):
    """A library that keeps its records below a folder of the test: makes trackers, reads what they were told."""
    pytest.importorskip(request.param)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if request.param == "trackio":
        from trackio import sqlite_storage, utils

        for module in (sqlite_storage, utils):  # it reads the variable when it is imported
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio", raising=False)
    return find_tracker(request.param), STORES[request.param](tmp_path)


def here(run, folder):
    import dataclasses

    return dataclasses.replace(run, folder=str(folder))


@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_what_is_read_back_is_what_was_told_and_a_record_that_is_taken_up_says_its_last_step(library, tmp_path):
    make, store = library
    tracker = make()
    assert tracker.start(here(RUN, tmp_path)) == -1
    tracker.log(ROWS[:1])
    tracker.log(ROWS[1:2])
    tracker.finish("interrupted", 11)
    other = make()
    assert other.start(here(OTHER, tmp_path)) == -1
    again = make()
    assert again.start(here(RUN, tmp_path)) == 7
    again.log(ROWS[2:])
    other.log(ROWS[:1])
    assert gc.isenabled()
    again.finish("diverged", 25)
    other.finish("finished", 0)
    for run, rows in ((RUN, ROWS), (OTHER, ROWS[:1])):
        told = store.values(run)
        for name in {name for _, values in rows for name in values}:
            assert told[name] == [(step, values[name]) for step, values in rows if name in values]
        config, group = store.labels(run)
        assert config.items() >= run.config.items()
        assert group in (run.group, run.id)
    last = make()
    assert last.start(here(RUN, tmp_path)) >= 20
    last.finish("diverged", 25)
    assert store.values(RUN)["loss"] == [(step, values["loss"]) for step, values in ROWS]


def test_records_of_wandb_are_read_across_blocks_and_to_a_torn_end(rng):
    pytest.importorskip("wandb")
    from collapse_jax.tracking import wandb_runs

    contents = [rng.bytes(int(size)) for size in rng.integers(1, 90_000, 12)]
    for tail in range(wandb_runs.HEADER + 2):  # the next block begins at each distance from a record
        first = rng.bytes(wandb_runs.BLOCK - wandb_runs.OWN_HEADER - wandb_runs.HEADER - tail)
        written = framed([first, *contents])
        assert list(wandb_runs._records(written)) == [first, *contents]
        assert list(wandb_runs._records(written[:-1])) == [first, *contents[:-1]]


def framed(contents):
    """Write records as LevelDB's log format says, in a file with a header of seven bytes."""
    block, out = 2**15, bytearray(7)
    for content in contents:
        begun, left = False, content
        while left or not begun:
            room = block - len(out) % block
            if room < 7:
                out += bytes(room)
                continue
            piece, left = left[: room - 7], left[room - 7 :]
            kind = {(False, False): 1, (False, True): 2, (True, True): 3, (True, False): 4}[begun, bool(left)]
            out += bytes(4) + len(piece).to_bytes(2, "little") + bytes([kind]) + piece
            begun = True
    return bytes(out)
