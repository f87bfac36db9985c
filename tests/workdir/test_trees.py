"""Trees of arrays by step: who holds the lock writes, everybody else leaves all as it is."""

import numpy as np
import pytest

from collapse_jax.errors import StoreError
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
