"""Datasets as the bytes of a NetCDF-4 file without groups, and back: what stands where in HDF5.

h5netcdf, which reads these files too, looks up the dimensions of all variables again for each that it writes: for
60 variables it takes ten times as long.
"""

import io
from typing import Any

import h5py
import numpy as np
import xarray as xr

COMPRESSION = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
# Of HDF5 1.10 (2016) and later: earlier ones take twice as many bytes, most of them for descriptions.
LAYOUT = ("v110", "v110")

# What NetCDF-4 says of its dimensions in attributes of HDF5; no attributes of the variables.
_HIDDEN = {"CLASS", "DIMENSION_LIST", "NAME", "REFERENCE_LIST"}
_HIDDEN |= {"_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid"}
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
_NUMBERS = "iuf"


def encode(dataset: xr.Dataset) -> bytes:
    """Return a dataset as NetCDF-4; arrays that are no coordinates are compressed.

    Raises:
      TypeError: a value or an attribute is neither numbers nor text.
    """
    variables, attributes = xr.conventions.encode_dataset_coordinates(dataset)
    # Not the image of a file in memory: that of HDF5 before 2.0 has a wrong checksum in this layout.
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=True, libver=LAYOUT) as file:
        made = {}
        for name, variable in variables.items():
            encoded = xr.conventions.encode_cf_variable(variable, name=name)
            compress = name in dataset.data_vars and variable.size > 0 and variable.ndim > 0
            made[name] = _write_variable(file, str(name), encoded, COMPRESSION if compress else {})
        _write_dimensions(file, dataset, made)
        _write_attributes(file, attributes)
    return content.getvalue()


def _write_variable(file: h5py.File, name: str, variable: xr.Variable, options: dict[str, Any]) -> h5py.Dataset:
    values, attributes = variable.values, dict(variable.attrs)
    text = values.dtype.kind in "OU"
    if not text and values.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name}: {values.dtype} is neither numbers nor text")
    fill = attributes.get("_FillValue")
    kind = h5py.string_dtype() if text else values.dtype
    growing = {} if variable.size or not variable.ndim else {"maxshape": [size or None for size in variable.shape]}
    data = file.create_dataset(
        name,
        data=values.astype(object) if text else values,
        dtype=kind,
        fillvalue=fill,
        track_order=True,
        **growing,
        **options,
    )
    if fill is not None:
        attributes["_FillValue"] = np.asarray(fill, values.dtype)
    _write_attributes(data, attributes)
    return data


def _write_dimensions(file: h5py.File, dataset: xr.Dataset, made: dict[Any, h5py.Dataset]) -> None:
    """Name the axes of all variables: each refers to the coordinate of its name, or to meaningless numbers."""
    scales = {}
    for number, (dim, size) in enumerate(dataset.sizes.items()):
        name, scale = str(dim).encode(), made.get(dim)
        if scale is None:
            # A dimension of length 0 is one without a fixed length.
            scale = file.create_dataset(str(dim), (size,), ">f4", maxshape=(size or None,), track_order=True)
            name = _NO_VARIABLE + b".%10d" % size
        h5py.h5ds.set_scale(scale.id, name)
        scale.attrs["_Netcdf4Dimid"] = np.int32(number)
        scales[dim] = scale.id
    for name, data in made.items():
        for axis, dim in enumerate(dataset[name].dims if name not in scales else ()):
            h5py.h5ds.attach_scale(data.id, scales[dim], axis)


def _write_attributes(of: h5py.File | h5py.Dataset, attributes: dict[Any, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, str):
            of.attrs[str(name)] = value
            continue
        array = np.atleast_1d(value)
        if array.dtype.kind in "OU":
            of.attrs.create(str(name), array.astype(object), dtype=h5py.string_dtype())
        elif array.dtype.kind in _NUMBERS:
            of.attrs[str(name)] = array
        else:
            raise TypeError(f"attribute {name}: {array.dtype} is neither numbers nor text")


def decode(content: bytes) -> xr.Dataset:
    """Return the dataset in the bytes of a NetCDF-4 file, whoever wrote it."""
    with h5py.File.in_memory(content) as file:
        found = {name: data for name, data in file.items() if isinstance(data, h5py.Dataset)}
        names = {data.id: name for name, data in found.items()}
        variables = {
            name: _read_variable(file, data, names)
            for name, data in found.items()
            if not data.attrs.get("NAME", b"").startswith(_NO_VARIABLE)
        }
        return xr.decode_cf(xr.Dataset(variables, attrs=_read_attributes(file)))


def _read_variable(file: h5py.File, data: h5py.Dataset, names: dict[Any, str]) -> xr.Variable:
    text = h5py.check_string_dtype(data.dtype)
    values, encoding = (data.asstr()[()], {"dtype": str}) if text else (data[()], {})
    return xr.Variable(_dimensions(file, data, names), values, _read_attributes(data), encoding)


def _dimensions(file: h5py.File, data: h5py.Dataset, names: dict[Any, str]) -> list[str]:
    if h5py.h5ds.is_scale(data.id):
        return [names[data.id]]
    if not data.ndim:
        return []
    # Scales are objects of the file, and equal ones are the same: their names need not be looked up.
    return [names[h5py.h5r.dereference(scale, file.id)] for (scale,) in data.attrs["DIMENSION_LIST"]]


def _read_attributes(of: h5py.File | h5py.Dataset) -> dict[str, Any]:
    return {name: _plain(of.attrs[name]) for name in of.attrs if name not in _HIDDEN}


def _plain(value: Any) -> Any:
    """Take texts as such, and what is alone out of its array: NetCDF-4 stores a number as an array of one."""
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, np.ndarray):
        return value
    several = value.tolist() if value.dtype == object else value
    return several[0] if len(several) == 1 else several
