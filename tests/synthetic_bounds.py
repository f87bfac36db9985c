"""Bounds and balancedness of sweeps that never ran, added to synthetic results."""

import json

import numpy as np
import xarray as xr

# variable -> factor above the truth that it bounds
ABOVE = {
    "test_error_bound_directional": ("test_error", 8.0),
    "test_error_bound": ("test_error", 40.0),
    "within_class_variance_bound": ("within_class_variance", 30.0),
    "within_class_variance_bound_jacot": ("within_class_variance", 900.0),
    "nc1_bound": ("nc1", 50.0),
    "nc1_bound_jacot": ("nc1", 5000.0),
}


def with_bounds(results: xr.Dataset, every: int = 1) -> xr.Dataset:
    """Adds what `generalisation` and `collapse_bounds` give; the bounds on every `every`-th step alone."""
    truth = {
        "test_error": 1 - results["test_accuracy"],
        "within_class_variance": 40 * results["rnc1"],
        "nc1": 3 * results["rnc1"],
        "variance_gap": 0.01 + 0 * results["rnc1"],
    }
    stored = xr.DataArray(np.arange(results.sizes["step"]) % every == 0, dims="step")
    bounds = {name: (factor * truth[of]).where(stored) for name, (of, factor) in ABOVE.items()}
    fitted = results["train_accuracy"] > 0.95
    for name in ("within_class_variance_bound_jacot", "nc1_bound_jacot"):
        bounds[name] = bounds[name].where(fitted | bounds[name].isnull(), np.inf)
    rest = {"variance_test": truth["variance_gap"] + results["rnc1"], "variance_train": results["rnc1"]}
    return results.assign(truth | bounds | rest)


def with_balancedness(
    results: xr.Dataset, pairs: int = 3, error: float = 0.0, floor: float = 1e-7, every: int = 1, **fields
) -> xr.Dataset:
    """Adds imbalances that start at 5 and follow theory, off by the relative `error`; `fields` of the config."""
    steps, eta, decay = (results[name].astype(float) for name in ("step", "learning_rate", "weight_decay"))
    # The order of the axes is that of the results.
    theory = ((1 - eta * decay) ** (2 * steps) + 0 * results["rnc1"].fillna(0)).transpose(*results["rnc1"].dims)
    theory = theory * xr.where(steps > 0, 1 + error, 1.0) + floor * (steps > 0)
    stored = xr.DataArray(np.arange(results.sizes["step"]) % every == 0, dims="step")
    values = (5 * theory.expand_dims(layer_pair=pairs, axis=-1)).where(stored & results["rnc1"].notnull())
    dims = (*results["rnc1"].dims, "layer_pair")
    added = {name: (dims, values.transpose(*dims).values) for name in ("imbalance", "imbalance_neurons")}
    config = {
        "optimizer": {"name": fields.pop("optimizer", "sgd"), "momentum": fields.pop("momentum", 0.0)},
        "model": {"activation": "relu", "last_layer_act": False} | fields,
    }
    return results.assign(added).assign_attrs(experiment=json.dumps(config))
