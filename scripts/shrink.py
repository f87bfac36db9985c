"""Make results and pictures smaller without changing what they say; prints bytes before and after.

Command: python -m scripts.shrink docs (files or folders)

NetCDF is written again as results are written today: the same values, attributes and checksum of both. A PNG gets a
palette of 256 colours where no reader sees it (peak signal to noise above 45 dB), else better compression alone.
"""

import io
import pathlib
import sys
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from etils import epath
from PIL import Image

from collapse_jax.workdir.netcdf import read_dataset, write_dataset

SAME = 45.0  # dB


def netcdf(path: pathlib.Path) -> None:
    """Write a file of results again if that makes it smaller."""
    before = read_dataset(path)
    temporary = path.with_suffix(".smaller")
    write_dataset(before, epath.Path(temporary))
    xr.testing.assert_identical(before, read_dataset(temporary))
    replace(path, temporary)


def png(path: pathlib.Path) -> None:
    """Give a picture a palette, if it looks the same."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB") if opaque(opened) else opened.convert("RGBA")
        dpi = opened.info.get("dpi")
    best = picture
    if picture.mode == "RGB":
        palette = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        if likeness(picture, palette.convert("RGB")) > SAME:
            best = palette
    content = io.BytesIO()
    best.save(content, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
    temporary = path.with_suffix(".smaller")
    temporary.write_bytes(content.getvalue())
    replace(path, temporary)


def opaque(picture: Image.Image) -> bool:
    """Whether nothing shines through a picture."""
    return "A" not in picture.getbands() or picture.getchannel("A").getextrema() == (255, 255)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Peak signal to noise of two pictures, in dB."""
    error = np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def replace(path: pathlib.Path, smaller: pathlib.Path) -> None:
    """Take the smaller one of two files."""
    if smaller.stat().st_size < path.stat().st_size:
        smaller.replace(path)
    else:
        smaller.unlink()


SHRINK: dict[str, Callable[[pathlib.Path], None]] = {".nc": netcdf, ".png": png}


def files_of(names: Iterable[str]) -> list[pathlib.Path]:
    """Return what can be made smaller among files, and in folders and below them."""
    paths = [pathlib.Path(name) for name in names]
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in found if file.suffix in SHRINK]


def main(names: list[str]) -> None:
    """Shrink all of them."""
    before, after = dict.fromkeys(SHRINK, 0), dict.fromkeys(SHRINK, 0)
    for file in files_of(names):
        before[file.suffix] += file.stat().st_size
        SHRINK[file.suffix](file)
        after[file.suffix] += file.stat().st_size
    for kind in SHRINK:
        print(f"{kind}: {before[kind] / 1e6:.1f} MB to {after[kind] / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
