"""Sums over all steps of what was measured at some of them."""

import numpy as np
import xarray as xr


def cumulative(values: xr.DataArray) -> xr.DataArray:
    """Return the sum over the steps t' = 0 ... t of a variable, at each log step t.

    Between two log steps the variable is taken to be linear in t: the sum over the steps from a + 1 to b is
    (b - a) (v_a + v_b) / 2 + (v_b - v_a) / 2, which is exact where every step was logged. nan from the first log
    step on that has no value. The first log step must be step 0, or its sum begins there.

    Args:
      values: with the dimension `step`.
    """
    values = values.transpose(..., "step")
    v, steps = values.values.astype(np.float64), values["step"].values
    before, after, gap = v[..., :-1], v[..., 1:], np.diff(steps)
    between = gap * (before + after) / 2 + (after - before) / 2
    total = np.concatenate([v[..., :1], v[..., :1] + np.cumsum(between, axis=-1)], axis=-1)
    return values.copy(data=total)
