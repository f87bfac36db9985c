"""Datasets as NetCDF-4 files with two checksums: of all bytes of the file, and of what they mean.

The last bytes of a file, its seal, are a line with the CRC-32 of those before, which HDF5 passes over. It is
verified before HDF5 sees any: HDF5 checks next to nothing, and loops for ever on some damaged files. Files go
through memory, since HDF5 locks those that it opens, which some file systems cannot, and ends the process with a
segmentation fault when the disk is full (h5py issue 914).
"""

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import DamagedError, StoreError, first_line
from collapse_jax.system.files import replacing, storing
from collapse_jax.workdir import hdf5

CHECKSUM = "crc32"
SEAL = b"\ncollapse_jax crc32 %08x\n"
SEAL_LENGTH = len(SEAL % 0)
HDF5 = b"\x89HDF\r\n\x1a\n"


def write_dataset(dataset: xr.Dataset, path: epath.Path) -> None:
    """Write a dataset as compressed NetCDF-4 with its checksums, whole or not at all.

    Raises:
      StoreError: it cannot be written, or reads back with other content; what was there before is there still.
    """
    dataset = dataset.assign_attrs({CHECKSUM: checksum(dataset)})
    with storing(path), replacing(path) as temporary:
        temporary.write_bytes(sealed(hdf5.encode(dataset)))
        try:
            read_dataset(temporary)
        except DamagedError as error:
            raise StoreError(f"{path} does not read back: {error}") from None


def read_dataset(path: os.PathLike[str]) -> xr.Dataset:
    """Read a dataset and verify it; files without checksums, of earlier versions, pass.

    Raises:
      DamagedError: the file is damaged.
      StoreError: the system or an object store does not hand it out.
    """
    with storing(path, "read"):
        content = epath.Path(path).read_bytes()
    try:
        dataset = hdf5.decode(unsealed(content))
        expected = dataset.attrs.pop(CHECKSUM, None)
        if expected not in (None, checksum(dataset)):
            raise ValueError("its checksum differs")
    except Exception as error:  # h5py and xarray raise many kinds for a damaged file
        raise DamagedError(f"{path} is damaged: {first_line(error)}") from error
    dataset.encoding["source"] = os.fspath(path)  # as xarray does; messages name the file
    return dataset


def sealed(content: bytes) -> bytes:
    """Return an HDF5 file with the checksum of its bytes behind them."""
    return content + SEAL % zlib.crc32(content)


def unsealed(content: bytes) -> bytes:
    """Return an HDF5 file without its seal.

    Of a file without one only its length is known. A damaged seal is not taken for none: the file is then longer
    than HDF5 has recorded.

    Raises:
      ValueError: the seal is not that of these bytes, or a file without one is not whole.
    """
    body, seal = content[:-SEAL_LENGTH], content[-SEAL_LENGTH:]
    if seal == SEAL % zlib.crc32(body):
        return body
    if len(content) != _recorded_length(content):
        raise ValueError("its checksum differs")
    return content


def _recorded_length(content: bytes) -> int:
    """Return the end of file in the superblock of HDF5 (file format specification, II.A); -1 without one."""
    if len(content) < 64 or not content.startswith(HDF5):
        return -1
    at = {0: 40, 1: 44}.get(content[8], 28)
    return int.from_bytes(content[at : at + 8], "little")


def checksum(dataset: xr.Dataset) -> int:
    """Return the CRC-32 of names, dimensions, values and attributes; NetCDF-4 checks next to nothing itself."""
    crc = 0
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name]
        values = np.ascontiguousarray(variable.values)
        numeric = values.dtype.kind in "biuf"
        content = values.tobytes() if numeric else repr(values.astype(str).tolist()).encode()
        kind = values.dtype.str if numeric else "text"
        role = "coordinate" if name in dataset.coords else "variable"
        header = json.dumps([role, name, variable.dims, variable.shape, kind, _plain(variable.attrs)])
        crc = zlib.crc32(content, zlib.crc32(header.encode(), crc))
    return zlib.crc32(json.dumps(_plain(dataset.attrs)).encode(), crc)


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(k): np.asarray(v).tolist() for k, v in sorted(attrs.items()) if k != CHECKSUM}
