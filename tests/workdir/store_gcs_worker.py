"""Trains, measures, damages and draws in a bucket of an emulated object store; run by test_gcs.py."""

import contextlib
import logging
import os
import shutil
import sys

import pytest
import xarray as xr
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.server import create_server

logging.disable(logging.WARNING)  # gcsfs says for each file that there are no credentials
_download = objects.download


def download(request, response, storage, *arguments, **keywords):
    """Name the generation, as the real service does; TensorStore asks for it when it writes an object again."""
    with contextlib.suppress(NotFound):
        found = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
        response["x-goog-generation"] = found["generation"]
    _download(request, response, storage, *arguments, **keywords)


def main(reference):
    objects.download = download
    with create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket") as server:
        port = server._api._httpd.server_address[1]
        os.environ["STORAGE_EMULATOR_HOST"] = os.environ["TENSORSTORE_GCS_HTTP_URL"] = f"http://127.0.0.1:{port}"
        check(reference)
    print("same")


def check(reference):
    from conftest import tiny_experiment
    from etils import epath

    import collapse_jax
    from collapse_jax.experiment.config import Schedule, Snapshots

    snapshots = Snapshots(Schedule(rule="explicit", at=(7,)), ("test", "head"), 50)
    experiment = tiny_experiment(snapshots=snapshots)
    workdir = epath.Path("gs://bucket/sweep")
    whole = collapse_jax.train(experiment, reference)
    shards_are_trained_and_merged(experiment, workdir, whole)
    measured_in_the_bucket_as_on_the_disk(workdir, reference)
    a_copy_of_a_shard_measures_the_same_bits(folders(workdir)[0], f"{reference}_copy")
    the_commands_read_and_draw(workdir)
    what_another_machine_writes_is_seen(workdir)
    damage_is_named(workdir)
    a_bucket_that_is_not_there()


def shards_are_trained_and_merged(experiment, workdir, whole):
    import collapse_jax
    from collapse_jax.engine.train import train_shard
    from collapse_jax.experiment.cuts import Shard
    from collapse_jax.workdir.results import merge
    from collapse_jax.workdir.trees import TreeStore

    for _ in range(2):
        for index in range(2):
            train_shard(experiment, workdir, Shard(index, 2))
    merged = collapse_jax.open_results(merge(workdir))
    assert merged.drop_attrs(deep=False).identical(whole.drop_attrs(deep=False))
    assert collapse_jax.open_results("gs://bucket/sweep").identical(merged)
    folder = folders(workdir)[0]
    assert TreeStore(folder / "snapshots").steps() == [7, 40]
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def measured_in_the_bucket_as_on_the_disk(workdir, reference):
    """With options, with others, and with the first ones again, which are taken back and not measured anew."""
    import collapse_jax
    from collapse_jax.__main__ import main as command

    collapse_jax.measure(reference, ["nhsic"], splits="test")
    for shard in folders(workdir):
        asked = ["measure", f"--workdir={shard}", "--measures=nhsic", "--splits=test"]
        file = shard / "measures" / "nhsic.nc"
        assert command([*asked, "--steps=7"]) == 0
        first = file.read_bytes()
        assert command([*asked, "--test_size=40"]) == 0
        assert file.read_bytes() != first
        assert command([*asked, "--steps=7"]) == 0
        assert file.read_bytes() == first
        assert len(list((file.parent / "other_options").iterdir())) == 1
        assert command(asked) == 0
    assert command(["merge", f"--workdir={workdir}"]) == 0
    found, expected = (collapse_jax.open_results(w).drop_attrs(deep=False) for w in (workdir, reference))
    assert "nhsic_zx" in found, list(found)
    xr.testing.assert_allclose(found, expected, rtol=1e-4)  # other runs are vmapped together


def a_copy_of_a_shard_measures_the_same_bits(shard, copy):
    import fsspec

    import collapse_jax

    fsspec.filesystem("gcs").get(f"{shard}/", copy, recursive=True)
    shutil.rmtree(os.path.join(copy, "measures"))
    for steps in ([7], None):
        collapse_jax.measure(copy, ["nhsic"], splits="test", steps=steps)
    assert collapse_jax.open_results(copy).identical(collapse_jax.open_results(shard))


def the_commands_read_and_draw(workdir):
    from collapse_jax.__main__ import main as command

    here = set(os.listdir())
    for shard in folders(workdir):
        assert command(["show", f"--workdir={shard}"]) == 0
        assert command(["verify", f"--workdir={shard}"]) == 0
    assert command(["plot", f"--workdir={workdir}"]) == 0
    figures = list((workdir / "figures").iterdir())
    assert {path.suffix for path in figures} == {".png", ".pdf"}
    assert all(path.read_bytes()[:4] in (b"\x89PNG", b"%PDF") for path in figures)
    assert set(os.listdir()) == here  # not in a folder "gs:"


def what_another_machine_writes_is_seen(workdir):
    """A file system of its own stands for the other machine; this one has listed the directory before."""
    import fsspec

    folder = workdir / "figures"
    before = {path.name for path in folder.iterdir()}
    elsewhere = fsspec.filesystem("gcs", skip_instance_cache=True)
    elsewhere.pipe(os.fspath(folder / "new"), b"content")
    assert {path.name for path in folder.iterdir()} == before | {"new"}
    elsewhere.pipe(os.fspath(folder / "new"), b"longer content")
    assert (folder / "new").read_bytes() == b"longer content"


def damage_is_named(workdir):
    import collapse_jax
    from collapse_jax.__main__ import main as command
    from collapse_jax.errors import StoreError

    shard = folders(workdir)[0]
    objects = list((shard / "snapshots" / "7" / "tree" / "d").iterdir())
    largest = max(objects, key=lambda path: path.stat().length)
    content = largest.read_bytes()
    largest.write_bytes(content[: len(content) // 2])
    assert command(["verify", f"--workdir={shard}"]) == 3
    with pytest.raises(StoreError, match=r"1 damaged snapshot\(s\) left out"):
        collapse_jax.measure(shard, ["nhsic"], label="again")
    assert collapse_jax.open_results(shard / "measures" / "nhsic_again.nc").step.values.tolist() == [40]
    file = shard / "measures" / "nhsic_again.nc"
    file.write_bytes(file.read_bytes()[:1000])
    assert command(["show", f"--workdir={shard}"]) == 2


def a_bucket_that_is_not_there():
    from collapse_jax.__main__ import main as command

    config = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "configs", "quickstart.py")
    assert command(["train", f"--config={config}", "--workdir=gs://nowhere/sweep", "--nofigures"]) == 2
    for name in ("measure", "verify", "show", "plot", "merge"):
        assert command([name, "--workdir=gs://nowhere/sweep"]) == 2, name


def folders(workdir):
    return [workdir / "parts" / f"shard-{index}-of-2" for index in range(2)]


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))
    main(sys.argv[1])
