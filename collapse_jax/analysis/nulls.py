"""Which variables hold the null of another, and what many p-values say together."""

import json

import numpy as np
import xarray as xr

LEVEL = 0.05


def null_name(variable: xr.DataArray, kind: str = "null") -> str:
    """Name the null of a variable of the results: the same estimate where nothing is shared.

    Suffixes follow "_null": mi_zx -> mi_zx_null, noisy_zy_sigma010 -> noisy_zy_null_sigma010, and with the split or
    label that `measure` added, nhsic_zx_test -> nhsic_zx_null_test. The results need not hold it. `kind` may also
    be "null_sd" and "p".
    """
    added = json.loads(variable.attrs.get("measured", "{}")).get("suffix", "")
    stem, separator, sigma = str(variable.name).removesuffix(added).partition("_sigma")
    return f"{stem}_{kind}{separator}{sigma}{added}"


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number: P(any false one at or below a level) <= level, whatever their dependence.

    The i-th smallest of m becomes the largest of min(1, (m - j + 1) p_j) over j <= i (Holm 1979); nan is left out
    of m and stays nan.

    Args:
      p: of any shape.
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    values = p[known]
    order = np.argsort(values)
    factors = len(values) - np.arange(len(values))
    ordered = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    back = np.empty_like(ordered)
    back[order] = ordered
    adjusted[known] = back
    return adjusted
