"""scripts/shrink.py: files get smaller and say the same."""

import numpy as np
import xarray as xr
from etils import epath
from PIL import Image, ImageDraw

from collapse_jax.workdir import hdf5
from collapse_jax.workdir.netcdf import read_dataset, write_dataset
from scripts import shrink


def test_results_keep_their_values_and_attributes(tmp_path, rng, monkeypatch):
    values = {f"v{i}": ("step", rng.normal(size=9).astype(np.float32), {"definition": "x" * 50}) for i in range(30)}
    dataset = xr.Dataset(values, {"step": np.arange(9)}, {"experiment": "{}"})
    path = tmp_path / "results.nc"
    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "LAYOUT", ("earliest", "v110"))  # as files were written before
        write_dataset(dataset, epath.Path(path))
    expected, before = read_dataset(path), path.stat().st_size
    shrink.main([str(tmp_path)])
    xr.testing.assert_identical(read_dataset(path), expected)
    assert path.stat().st_size < 0.7 * before
    assert [file.name for file in tmp_path.iterdir()] == ["results.nc"]


def test_a_drawing_gets_a_palette_and_a_photograph_keeps_its_colours(tmp_path, rng):
    drawing = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(drawing).line([(0, 0), (299, 199)], fill="#d55e00", width=5)
    photograph = Image.fromarray(rng.integers(0, 256, (200, 300, 3), np.uint8))
    glass = Image.fromarray(rng.integers(0, 256, (20, 30, 4), np.uint8))
    pictures = {"drawing": drawing, "photograph": photograph, "glass": glass}
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png", dpi=(160, 160))
    shrink.main([str(tmp_path)])
    for name, picture in pictures.items():
        with Image.open(tmp_path / f"{name}.png") as again:
            assert (again.mode == "P") == (name == "drawing")
            np.testing.assert_array_equal(np.asarray(again.convert(picture.mode)), np.asarray(picture))
            assert round(again.info["dpi"][0]) == 160
