"""Which variable holds the null of another."""

import json

import xarray as xr


def null_name(variable: xr.DataArray) -> str:
    """Name the null of a variable of the results: the same estimate where nothing is shared.

    Suffixes follow "_null": mi_zx -> mi_zx_null, noisy_zy_sigma010 -> noisy_zy_null_sigma010, and with the split or
    label that `measure` added, nhsic_zx_test -> nhsic_zx_null_test. The results need not hold it.
    """
    added = json.loads(variable.attrs.get("measured", "{}")).get("suffix", "")
    stem, separator, sigma = str(variable.name).removesuffix(added).partition("_sigma")
    return f"{stem}_null{separator}{sigma}{added}"
