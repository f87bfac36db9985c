"""Trees of arrays by step: who holds the lock writes, everybody else leaves all as it is."""

import errno
import os
import threading

import jax
import numpy as np
import pytest
from orbax.checkpoint._src.futures import signaling_client
from orbax.checkpoint._src.multihost import multihost

from collapse_jax.errors import DamagedError, StoreError, WorkdirError
from collapse_jax.system import files
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.trees import TreeStore

TREE = {"a": {"b": np.arange(6.0).reshape(2, 3)}, "c": np.int32(4)}


def test_a_reader_leaves_the_unfinished_save_of_a_writer_alone(tmp_path):
    folder = tmp_path / "checkpoints"
    with one_writer(tmp_path) as lock:
        writer = TreeStore(folder, lock=lock, keep=2)
        writer.save(3, TREE)
        writer.verify()
        unfinished = folder / "4.orbax-checkpoint-tmp"
        (unfinished / "d").mkdir(parents=True)
        before = sorted(folder.rglob("*"))

        reader = TreeStore(folder)
        assert reader.steps() == [3]
        assert reader.load(3).keys() == {"a/b", "c"}
        np.testing.assert_array_equal(reader.load(3)["a/b"], TREE["a"]["b"])
        for write in (lambda: reader.save(5, TREE), lambda: reader.delete_after(2)):
            with pytest.raises(StoreError, match="opened for reading"):
                write()
        reader.close()
        assert sorted(folder.rglob("*")) == before
        writer.close()

        TreeStore(folder, lock=lock).close()
        assert not unfinished.exists()


def test_a_tree_of_another_experiment_is_refused(tmp_path):
    with one_writer(tmp_path) as lock:
        writer = TreeStore(tmp_path / "snapshots", lock=lock, fingerprint="theirs")
        writer.save(3, TREE)
        writer.close()
    for fingerprint in ("theirs", ""):
        assert TreeStore(tmp_path / "snapshots", fingerprint=fingerprint).load(3).keys() == {"a/b", "c"}
    with pytest.raises(WorkdirError, match=r"snapshots/3 belongs to another experiment \(theirs\); move it away"):
        TreeStore(tmp_path / "snapshots", fingerprint="ours").load(3)


def test_what_the_system_does_not_hand_out_is_not_damaged(tmp_path):
    """Each file of a tree becomes a link to itself, which nobody can open: it stands for EACCES and EIO."""
    with one_writer(tmp_path) as lock:
        writer = TreeStore(tmp_path / "checkpoints", lock=lock)
        writer.save(3, TREE)
        writer.close()
    seen = 0
    for path in [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]:
        content = path.read_bytes()
        path.unlink()
        path.symlink_to(path)
        try:
            TreeStore(tmp_path / "checkpoints").load(3)
        except StoreError as error:
            assert not isinstance(error, DamagedError), path  # noqa: PT017 - which of many files
            assert f"{path.name} cannot be read: {os.strerror(errno.ELOOP)}" in str(error)  # noqa: PT017
            seen += 1
        path.unlink()
        path.write_bytes(content)
    assert seen >= 4
    assert TreeStore(tmp_path / "checkpoints").load(3).keys() == {"a/b", "c"}


def test_what_a_failed_save_writes_late_is_removed(tmp_path, monkeypatch):
    """A leaf lands after the save has failed, and one after the manager has closed."""
    folder = tmp_path / "snapshots"
    late = folder / "4.orbax-checkpoint-tmp" / "tree.orbax-checkpoint-tmp"

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    def land():
        late.mkdir(parents=True, exist_ok=True)
        (late / "leaf").write_bytes(bytes(10))

    with one_writer(tmp_path) as lock:
        writer = TreeStore(folder, lock=lock)
        writer.save(3, TREE)
        writer.wait()
        monkeypatch.setattr(writer._manager, "save", fail)
        with pytest.raises(StoreError, match="saving step 4 failed: No space left on device"):
            writer.save(4, TREE)
        land()
        close = writer._manager.close

        def close_and_land():
            close()
            land()
            timer.start()

        timer = threading.Timer(0.05, land)
        monkeypatch.setattr(writer._manager, "close", close_and_land)
        writer.close()
        timer.join()
        assert sorted(path.name for path in folder.iterdir()) == ["3"]


def test_a_save_that_does_not_reach_the_disk_is_none(tmp_path, monkeypatch):
    def broken(path, *, forget=False):
        if path.is_file() and "/4/" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with one_writer(tmp_path) as lock:
        store = TreeStore(tmp_path / "checkpoints", lock=lock, keep=2)
        store.save(3, TREE)
        store.verify()
        monkeypatch.setattr(files, "sync", broken)
        store.save(4, TREE)
        with pytest.raises(StoreError, match=f"step 4 does not reach the disk: {os.strerror(errno.EIO)}"):
            store.verify()
        assert store.steps() == [3]
        store.close()
    assert TreeStore(tmp_path / "checkpoints").steps() == [3]


def test_a_process_of_a_job_saves_without_a_word_to_the_others(tmp_path, monkeypatch):
    """Saves of two processes have the same numbers: what one tells through the job, threads of the other hear."""
    shared = signaling_client.get_signaling_client
    shared.cache_clear()
    monkeypatch.setattr(signaling_client, "get_signaling_client", shared)  # what a job changes is taken back
    monkeypatch.setattr(multihost, "process_index", multihost.process_index)
    monkeypatch.setattr(multihost, "is_jax_distributed_client_initialized", lambda: True)
    monkeypatch.setattr(multihost, "get_jax_distributed_client", Coordinator)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    try:
        with one_writer(tmp_path) as lock:
            store = TreeStore(tmp_path / "checkpoints", lock=lock)
            store.save(3, TREE)
            store.verify()
            store.close()
        assert store.load(3).keys() == {"a/b", "c"}
    finally:
        shared.cache_clear()


class Coordinator:
    """Of a job: nobody may ask it."""

    def __getattr__(self, name):
        pytest.fail(f"the coordinator of the job was asked: {name}")
