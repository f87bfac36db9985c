"""Trains two shards into a bucket of an emulated object store, once more, and merges them; run by test_gcs.py."""

import logging
import os
import sys

from gcp_storage_emulator.server import create_server

logging.disable(logging.WARNING)  # gcsfs says for each file that there are no credentials


def main(reference):
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    port = server._api._httpd.server_address[1]
    os.environ["STORAGE_EMULATOR_HOST"] = os.environ["TENSORSTORE_GCS_HTTP_URL"] = f"http://127.0.0.1:{port}"
    from conftest import tiny_experiment
    from etils import epath

    import collapse_jax
    from collapse_jax import merge, shards, store
    from collapse_jax.config import Schedule, Snapshots

    snapshots = Snapshots(Schedule(rule="explicit"), ("head",), 50)
    experiment = tiny_experiment(snapshots=snapshots)
    workdir = epath.Path("gs://bucket/sweep")
    for _ in range(2):
        for index in range(2):
            shards.train_shard(experiment, workdir, shards.Shard(index, 2))
    merged = merge.merge(workdir)
    whole = collapse_jax.train(experiment, reference)
    assert merged.drop_attrs(deep=False).identical(whole.drop_attrs(deep=False))
    assert collapse_jax.open_results("gs://bucket/sweep").identical(merged)
    folder = shards.Shard(0, 2).folder(workdir)
    assert store.TreeStore(folder / "snapshots").steps() == [40]
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]
    print("same")
    server.stop()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main(sys.argv[1])
