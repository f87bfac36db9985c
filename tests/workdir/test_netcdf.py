"""Reading of NetCDF-4 files: the same as xarray's own, which is slow, of any file that xarray writes."""

import h5py
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT

from collapse_jax.workdir.netcdf import CHECKSUM, read_dataset


def every_kind() -> xr.Dataset:
    """Return variables and attributes of every kind, whether this package writes them or not."""
    described = {"one": 1, "several": [1, 2], "alone": [1.5], "texts": ["a", "b"], "text": "x", "nothing": ""}
    variables = {
        "values": (("run", "step"), np.array([[1, np.nan, 3], [4, 5, 6]], np.float32), described),
        "double": (("step", "unnamed"), np.ones((3, 4))),
        "number": ((), np.float32(2)),
        "flag": ("run", np.array([True, False])),
        "integer": ("other", np.arange(5)),
        "empty": (("none", "step"), np.zeros((0, 3))),
        "text": ("run", np.array(["é", "rrr"])),
    }
    coords = {"step": [0, 1, 2], "run": [3, 4], "name": ("run", ["x", "yy"]), "optimizer": ["adam", "sgd"]}
    return xr.Dataset(variables, coords, {"title": "é", "alone": [3], "number": 2.5, "nothing": ""})


@pytest.mark.parametrize("kind", ["every kind", "docs/balancedness_mlp", "docs/experiments/optimizer_mlp"])
def test_files_are_read_as_xarray_reads_them(kind, tmp_path):
    path = ROOT / kind / "results.nc"
    if not path.parent.is_dir():
        path = tmp_path / "results.nc"
        every_kind().to_netcdf(path, engine="h5netcdf", encoding={"values": {"zlib": True}})
        with h5py.File(path, "a") as file:
            file.create_group("a group beside the variables")
            file.attrs["of fixed length"] = np.bytes_("as netCDF4 writes it")
    ours, theirs = read_dataset(path), xr.load_dataset(path, engine="h5netcdf")
    theirs.attrs.pop(CHECKSUM, None)
    xr.testing.assert_identical(ours, theirs)
    assert list(ours.data_vars) == list(theirs.data_vars)
    assert ours.sizes == theirs.sizes
    for name in theirs.variables:
        assert ours[name].dtype == theirs[name].dtype, name
        assert {k: type(v) for k, v in ours[name].attrs.items()} == {
            k: type(v) for k, v in theirs[name].attrs.items()
        }, name
