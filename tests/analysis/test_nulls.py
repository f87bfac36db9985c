"""Names of nulls, and Holm's correction against its definition and its promise."""

import numpy as np
import pytest
import xarray as xr

from collapse_jax.analysis.nulls import holm, null_name


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("mi_zx", "null", "mi_zx_null"),
        ("noisy_zy_sigma010", "null_sd", "noisy_zy_null_sd_sigma010"),
        ("noisy_zy_sigma010", "p", "noisy_zy_p_sigma010"),
        ("rnc1_test", "p", "rnc1_test_p"),
    ],
)
def test_names(name, kind, expected):
    assert null_name(xr.DataArray(0, name=name), kind) == expected


def test_holm_by_hand():
    adjusted = holm(np.array([[0.01, 0.04], [0.03, np.nan], [0.005, 0.9]]))
    np.testing.assert_allclose(adjusted, [[0.04, 0.09], [0.09, np.nan], [0.025, 0.9]])
    assert holm(np.array([])).shape == (0,)


def test_evidence_where_there_is_none_is_rare_over_all_runs(rng):
    """Any of 30 runs in 5 % of sweeps; the range of 30 nulls leaves one out of it in most."""
    p = rng.uniform(size=(3000, 30))
    any_found = np.mean([np.any(holm(row) <= 0.05) for row in p])
    assert any_found == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 / 3000))
    values, nulls = rng.normal(size=(2, 3000, 30))
    assert np.mean(((values < nulls.min(1, keepdims=True)) | (values > nulls.max(1, keepdims=True))).any(1)) > 0.5
