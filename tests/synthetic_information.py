"""Measures of information of sweeps that never ran, taken at fewer steps than the log."""

import numpy as np
import xarray as xr

from collapse_jax.measures import MEASURES

FAMILIES = ("mutual_information", "nhsic", "noisy_channel")


def add_information(results: xr.Dataset, families=FAMILIES, every: int = 4) -> xr.Dataset:
    """The results with the variables of some families at every few steps, which follow the accuracy and RNC1."""
    learnt = (results["test_accuracy"] - 0.12) / 0.78
    spread = results["rnc1"] / 0.25
    rng = np.random.default_rng(0)

    def noise(size):
        return xr.zeros_like(spread) + size * rng.normal(size=spread.shape)

    zy = {"mi": 0.4 + 1.8 * learnt, "nhsic": 1 + 6.5 * learnt}
    beyond = {"mi": 0.8 * spread - 0.75 * learnt, "nhsic": 12 * spread**0.4 - 2}
    values = {}
    for kind, name in (("mi", "superfluous_information"), ("nhsic", "superfluous_nhsic")):
        size = 0.02 * (1 if kind == "mi" else 10)
        values |= {f"{kind}_zy": zy[kind], f"{kind}_zx": zy[kind] + beyond[kind], name: beyond[kind]}
        nulls = {f"{kind}_zy": 0.1 if kind == "nhsic" else 0, f"{kind}_zx": 3.0 if kind == "nhsic" else 0}
        values |= {f"{n}_null": noise(size) + level for n, level in nulls.items()}
        values |= {f"{name}_null": values[f"{kind}_zx_null"] - values[f"{kind}_zy_null"]}
        values |= {f"{n}_error": abs(noise(size)) for n in (f"{kind}_zx", f"{kind}_zy", name)}
        for n in (f"{kind}_zx", f"{kind}_zy", name):
            values |= {f"{n}_null_sd": 0.5 * size + 0 * spread, f"{n}_p": 1e-9 + 0 * spread}
    for suffix, sigma in (("sigma003", 0.03), ("sigma010", 0.1), ("sigma030", 0.3)):
        trace = results["rnc1"] / (2 * sigma**2)
        log_det = 10 * np.log1p(trace / 10)
        given_y = 5.3 * (1 - np.exp(-log_det / 5.3)) * (1 + noise(0.02))
        kept = (0.3 + 2.0 * learnt) * np.exp(-sigma)
        own = {
            "noisy_zx_given_y": given_y,
            "noisy_zx": given_y + kept,
            "noisy_zy": kept,
            "noisy_zy_null": 0.02 + abs(noise(0.01)),
            "noisy_zx_given_y_null": given_y + kept,
            "noisy_zy_null_sd": 0.01 + 0 * spread,
            "noisy_zx_given_y_null_sd": 0.01 + 0 * spread,
            "noisy_zx_given_y_p": 1e-9 + 0 * spread,
            "kde_lower_zx_given_y": 0.6 * given_y,
            "kde_upper_zx_given_y": np.minimum(log_det, 1.15 * given_y),
            "log_det_bound": log_det,
            "trace_bound": trace,
        }
        values |= {f"{name}_{suffix}": value for name, value in own.items()}
    described = {name: v for family in FAMILIES for name, v in MEASURES[family].variables.items()}
    chosen = {name for family in families for name in MEASURES[family].variables}
    measured = xr.DataArray(np.arange(results.sizes["step"]) % every == 0, dims="step")
    for name, value in values.items():
        if name in chosen:
            results = results.assign({name: value.where(measured)})
            results[name].attrs = described[name].attrs()
    return results


def add_layers(results: xr.Dataset, count: int, stems=("mi", "binned")) -> xr.Dataset:
    """The results with I(Z;X) and I(Z;Y) of hidden layers: those of the features, less 0.1 for each layer above."""
    above = xr.DataArray(np.arange(count)[::-1], dims="layer", coords={"layer": np.arange(count)})
    described = MEASURES["layer_information"].variables
    for stem in stems:
        for which in ("zx", "zy"):
            for kind in ("", "_null", "_null_sd"):
                name, source = f"layer_{stem}_{which}{kind}", f"mi_{which}{kind}"
                if name in described:
                    own = results[source] - 0.1 * above * (kind == "")
                    results = results.assign({name: own.assign_attrs(described[name].attrs())})
    return results
