"""Files of results: verified before HDF5 sees them, through memory, and never damaged where only reading failed."""

import errno
import fcntl
import os
import shutil

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from etils import epath

import collapse_jax
from collapse_jax.errors import CollapseError, DamagedError, StoreError, WorkdirError
from collapse_jax.workdir import hdf5, netcdf
from collapse_jax.workdir.netcdf import SEAL_LENGTH, read_dataset, write_dataset
from collapse_jax.workdir.verify import verify_workdir

UNREADABLE = os.strerror(errno.ELOOP)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of a few kilobytes, and what is in it."""
    rng = np.random.default_rng(0)
    values = {
        f"v{i}": (("run", "step"), rng.normal(size=(4, 30)).astype(np.float32), {"units": "1"}) for i in range(8)
    }
    dataset = xr.Dataset(values, {"step": np.arange(30)}, {"title": "t"})
    path = epath.Path(tmp_path_factory.mktemp("netcdf") / "results.nc")
    write_dataset(dataset, path)
    return path, dataset


def damaged(content, kind, rng):
    content, at = bytearray(content), int(rng.integers(len(content)))
    if kind == "bit":
        content[at] ^= 1 << rng.integers(8)
    elif kind == "zeros":
        content[at : at + 512] = bytes(len(content[at : at + 512]))
    elif kind == "noise":
        content[at : at + 512] = rng.bytes(len(content[at : at + 512]))
    else:
        del content[at:]
    return bytes(content)


def test_no_damaged_byte_reaches_hdf5(written, tmp_path, monkeypatch, rng):
    """HDF5 loops for ever on some of these files; what it is given is what was written, whole."""
    path, dataset = written
    content, given = path.read_bytes(), []
    parse = hdf5.h5py.File

    class LookedAt(parse):
        @classmethod
        def in_memory(cls, source, **options):
            given.append(source)
            return parse.in_memory(source, **options)

    monkeypatch.setattr(hdf5.h5py, "File", LookedAt)
    copy, refused, changed = tmp_path / "results.nc", 0, 0
    for i in range(400):
        copy.write_bytes(damaged(content, ("bit", "zeros", "noise", "cut")[i % 4], rng))
        changed += copy.read_bytes() not in (content, content[:-SEAL_LENGTH])
        try:
            assert read_dataset(copy).identical(dataset)  # nothing but the seal was lost
        except DamagedError:
            refused += 1
    assert set(given) == {content[:-SEAL_LENGTH]}
    assert refused == changed >= 300
    for end in (SEAL_LENGTH, SEAL_LENGTH - 1, 1):  # of the seal alone
        copy.write_bytes(content[:-end] + bytes(end))
        with pytest.raises(DamagedError, match="its checksum differs"):
            read_dataset(copy)


def test_other_readers_pass_over_the_seal_and_files_without_one_are_read(written, tmp_path):
    path, dataset = written
    with xr.open_dataset(path) as found:
        assert found.drop_attrs(deep=False).identical(dataset.drop_attrs(deep=False))
    copy = tmp_path / "earlier.nc"
    copy.write_bytes(path.read_bytes()[:-SEAL_LENGTH])
    assert read_dataset(copy).identical(dataset)
    dataset.to_netcdf(copy, engine="h5netcdf")  # by somebody else
    assert read_dataset(copy).identical(dataset)


def everything():
    """Every kind of value, dimension and attribute that there may be."""
    values = {
        "single": (
            ("x", "y"),
            np.array([[0, -0.0, np.nan], [np.inf, 1e-45, -1]], np.float32),
            {"units": "ü", "e": ""},
        ),
        "whole": (("y",), np.array([1, -(2**62), 3]), {"number": 2.5, "several": [1, 2], "texts": ["a", "λ"]}),
        "yes": (("x",), np.array([True, False])),
        "texts": (("x",), np.array(["", "λ and more"])),
        "alone": ((), 2.5),
        "text": ((), "one"),
        "empty": (("none", "x"), np.zeros((0, 2))),
        "one": (("bare",), np.ones(1, np.int32)),
    }
    coordinates = {"x": [0.1, 0.01], "y": ["p", "q", "λ"], "of_x": ("x", ["u", "v"]), "of_none": 1.5}
    return xr.Dataset(values, coordinates, {"title": "α", "number": 3})


@pytest.mark.parametrize("dataset", [everything(), everything()[["alone"]], xr.Dataset()])
def test_files_are_netcdf_as_an_independent_library_reads_and_writes_it(tmp_path, dataset):
    path = epath.Path(tmp_path / "own.nc")
    write_dataset(dataset, path)
    assert read_dataset(path).identical(dataset)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found.attrs.pop(netcdf.CHECKSUM) == netcdf.checksum(dataset)
        xr.testing.assert_identical(found.load(), dataset)
        assert {v.dtype for v in found.variables.values()} == {v.dtype for v in dataset.variables.values()}
    dataset.to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    xr.testing.assert_identical(read_dataset(tmp_path / "theirs.nc"), dataset)


def test_what_is_neither_numbers_nor_text_is_not_written():
    for wrong in (xr.Dataset({"a": 1j}), xr.Dataset(attrs={"a": True}), xr.Dataset(attrs={"a": [1j]})):
        with pytest.raises(TypeError, match=r"a: (complex128|bool) is neither numbers nor text"):
            hdf5.encode(wrong)


def test_every_committed_file_is_sealed():
    files = sorted((ROOT / "docs").rglob("*.nc"))
    assert len(files) >= 30
    for path in files:
        content = path.read_bytes()
        assert netcdf.unsealed(content) == content[:-SEAL_LENGTH], path


def test_a_lock_that_hdf5_would_not_get_keeps_nobody_from_reading(written):
    """HDF5 locks a file that it opens, and calls one that is locked, or cannot be, damaged."""
    path, dataset = written
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert read_dataset(path).identical(dataset)
    os.close(descriptor)


@pytest.mark.parametrize("name", ["results.nc", "measures/fit.nc", "experiment.json"])
def test_what_cannot_be_read_is_not_damaged(stored, finished, tmp_path, name):
    """The system's own words, and the file stays where it is; a link to itself stands for EACCES and EIO."""
    workdir = tmp_path / "w"
    shutil.copytree(stored, workdir)
    collapse_jax.measure(workdir, "fit")
    file = workdir / name
    file.unlink()
    file.symlink_to(file)
    uses = [lambda: collapse_jax.open_results(workdir), lambda: collapse_jax.measure(workdir, "fit")]
    for use in uses:
        with pytest.raises(CollapseError) as error:
            use()
        assert f"{file} cannot be read: {UNREADABLE}" in str(error.value)
        assert type(error.value) is StoreError
    wrong = {what: why for what, why in verify_workdir(workdir) if why}
    assert wrong == {name: f"{file} cannot be read: {UNREADABLE}"}
    assert file.is_symlink()
    assert not (workdir / "measures" / "other_options").exists()


def test_results_of_another_experiment_are_refused(stored, tmp_path):
    workdir = tmp_path / "w"
    shutil.copytree(stored, workdir)
    results = read_dataset(workdir / "results.nc")
    write_dataset(results.assign_attrs(fingerprint="0" * 16), epath.Path(workdir / "results.nc"))
    for use in (collapse_jax.open_results, lambda w: collapse_jax.measure(w, "fit")):
        with pytest.raises(WorkdirError, match=r"belongs to another experiment than experiment\.json"):
            use(workdir)
