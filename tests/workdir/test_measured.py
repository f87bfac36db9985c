"""Files of measures that wait for their options, and what a file may say of itself."""

import os
import pathlib

import pytest
import xarray as xr
from etils import epath

from collapse_jax.workdir.measured import ASIDE, key_of, take_up
from collapse_jax.workdir.netcdf import write_dataset

ONE, TWO = "0123456789abcdef", "f" * 16


@pytest.fixture
def path(tmp_path):
    """Give a test the place of a file of measures, deep in its folder."""
    folder = epath.Path(tmp_path) / "far" / "away" / "measures"
    (folder / ASIDE / "norms-x").mkdir(parents=True)
    return folder / "norms.nc"


def write(path, key):
    write_dataset(xr.Dataset(attrs={"key": key}), path)


def files(path):
    """Return all files of the test, as named from the folder of measures."""
    found = (f for f in pathlib.Path(path).parents[3].rglob("*") if f.is_file())
    return sorted(os.path.relpath(f, path.parent) for f in found)


def test_a_file_of_other_options_is_set_aside_and_taken_back(path):
    write(path, ONE)
    take_up(path, ONE)
    assert files(path) == ["norms.nc"]
    take_up(path, TWO)
    assert files(path) == [f"{ASIDE}/norms-{ONE}.nc"]
    write(path, TWO)
    take_up(path, ONE)
    assert key_of(path) == ONE
    assert files(path) == ["norms.nc", f"{ASIDE}/norms-{TWO}.nc"]


@pytest.mark.parametrize("key", ["x/../../../../stolen", "/stolen", "..", ONE.upper(), "", f"{ONE}\n"])
def test_what_a_file_says_is_its_key_names_no_file(path, key):
    """A file from elsewhere is set aside in its folder, whatever it says."""
    write(path, key)
    take_up(path, ONE)
    assert files(path) == [f"{ASIDE}/norms-damaged.nc"]
