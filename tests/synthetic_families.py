"""What further measures give of sweeps that never ran: layers, complexity, synergy, tickets, attention."""

import json

import numpy as np
import xarray as xr
from synthetic_results import join_parts, make_results

from collapse_jax.measures.families.attention import TOKEN_KINDS

DISTORTIONS = (4.0, 1.0, 0.25, 0.0625)
SLOPE, LEVEL = -5000.0, 30_000.0  # of the complexity over the logarithm of the distortion
LOW, HIGH = 300, 6000  # steps of a drop of the redundancy, and of the end of the synergy
RATES, LEVELS, STEPS = (0.01, 0.3), 3, 6  # of tickets
SIGMAS = [0.001, 0.018, 0.5]
KERNEL = {"suffix": "_free", "options": {"mode": "centred", "bandwidth": "median", "batch_size": 64}}


def with_layers(results, count=3):
    """Collapse and nearest-centre accuracy of layers; the last has a tenth of the variance of the first."""
    falling = xr.DataArray(np.geomspace(1, 0.1, count), dims="layer")
    rnc1 = (results["rnc1"] * falling).transpose(..., "layer")
    accuracy = (results["test_accuracy"] * (1 - falling / 2)).transpose(..., "layer")
    return results.assign(layer_rnc1=rnc1, layer_centre_accuracy_test=accuracy)


def with_nhsic(results, slope, layers=3):
    """At every tenth step nHSIC(Z;X) of layer l = 0, 1, 2 is 50 - 10 l, nHSIC(Z;Y) 5 + slope l, nulls one less."""
    layer = xr.DataArray(np.arange(layers), dims="layer")
    base = xr.zeros_like(results["rnc1"], float).where(np.arange(results.sizes["step"]) % 10 == 0)
    values = {"layer_nhsic_zx": 50 - 10 * layer + base, "layer_nhsic_zy": 5 + slope * layer + base}
    found = {}
    for name, value in values.items():
        found |= {name: value, f"{name}_null": value - 1}
        found |= {f"{name}_free": 2 * value, f"{name}_null_free": 2 * value - 1}
    for name, value in found.items():
        value.attrs = {"long_name": name, "measured": json.dumps(KERNEL if name.endswith("_free") else {})}
    return results.assign(found)


def schemes():
    """Two training schemes, whose layers keep the label differently."""
    part = make_results(weight_decay=(0.0,), seed=(0, 1), jitter=0.2)
    found = {"end_to_end": with_nhsic(part, 0.5), "layerwise": with_nhsic(part, 0.0)}
    return join_parts({"scheme": tuple(found)}, [({"scheme": name}, part) for name, part in found.items()])


def with_complexity(results):
    """Complexities on a line over the logarithm of the distortion, at every tenth log step."""
    measured = xr.zeros_like(results["rnc1"], float).where(np.arange(results.sizes["step"]) % 10 == 0)
    distortion = xr.DataArray(np.array(DISTORTIONS), dims="distortion", coords={"distortion": list(DISTORTIONS)})
    rates = measured + SLOPE * np.log(distortion) + LEVEL
    attrs = {"long_name": "Complexity", "units": "byte"}
    by_distortion = {name: rates.assign_attrs(attrs) for name in ("complexity", "description_length")}
    return results.assign(**by_distortion, quantised_complexity=2 * rates, naive_size=measured + 9e5)


def with_synergy(results):
    """Synergy with a peak of 2 bits between two steps, and its nulls; the largest weight decay does not fit."""
    step, noise = results["step"], 0.01 * np.random.default_rng(0).normal(size=results["rnc1"].shape)
    noise = results["rnc1"].copy(data=noise)
    peak = 2.0 * ((step >= LOW) & (step < HIGH)) + noise
    drop = 9.0 - 4 * (step >= LOW) + noise
    measured = {
        "synergy": peak,
        "redundancy": drop,
        "synergy_null": 0.1 + 0 * noise,
        "synergy_spectrum_null": noise,
    }
    measured = {n: v.transpose(..., "step").where(np.arange(step.size) % 4 == 0) for n, v in measured.items()}
    bad = results["train_accuracy"].where(results["weight_decay"] < 0.1, 0.5)
    return results.assign(**measured, train_accuracy=bad.assign_attrs(results["train_accuracy"].attrs))


def tickets():
    """Two rates and two seeds over three levels, logged twice in each; the density is .8^level."""
    steps = [0, *(level * STEPS + part for level in range(LEVELS) for part in (2, STEPS))]
    dims, shape = ("learning_rate", "seed", "step"), (2, 2, len(steps))
    level = np.maximum(np.array(steps) - 1, 0) // STEPS
    ends = np.array([step > 0 and step % STEPS == 0 for step in steps])
    rng = np.random.default_rng(0)

    def variable(values, name):
        return dims, np.broadcast_to(values, shape), {"long_name": name, "units": "1"}

    measured = {
        name: variable(np.where(ends, rng.uniform(1, 2, shape), np.nan), name)
        for name in (
            "distance_per_weight",
            "distance_from_initial",
            "hessian_trace",
            "pac_bound_slab",
            "pac_bound_without_mask",
        )
    }
    slab = np.where(ends, 1.0, np.nan)[None, None, :, None] * np.array(SIGMAS) * np.ones((2, 2, 1, 1))
    return xr.Dataset(
        measured
        | {
            "train_accuracy": variable(rng.uniform(0.5, 1, shape), "Train accuracy"),
            "test_accuracy": variable(rng.uniform(0.5, 1, shape), "Test accuracy"),
            "density": variable(np.where(ends, 0.8**level, np.nan), "Density"),
            "mask_cost": variable(np.where(ends, 5.0 * level, np.nan), "Mask"),
            "slab_divergence": ((*dims, "posterior_sigma"), slab, {"long_name": "Slab", "units": "nats"}),
            "posterior_risk": ((*dims, "posterior_sigma"), slab / 2, {"long_name": "Risk", "units": "1"}),
            "diverged_at": (dims[:2], np.full((2, 2), -1)),
        },
        {
            "learning_rate": list(RATES),
            "seed": [0, 1],
            "step": steps,
            "posterior_sigma": SIGMAS,
            "level": ("step", level),
            "level_step": ("step", np.array(steps) - level * STEPS),
        },
    )


def attention(rng, steps=(0, 1, 10, 100)):
    """Two dimensions, three signals, two seeds of numbers drawn at random."""
    coords = {"dimension": [10, 20], "signal_norm": [1.0, 2.0, 3.0], "seed": [0, 1], "step": np.array(steps)}
    dims = tuple(coords)
    shape = tuple(len(values) for values in coords.values())
    found = {name: (dims, rng.uniform(size=shape)) for name in ("train_loss", "test_loss")}
    found |= {f"train_loss_{name}": (dims, rng.uniform(size=shape)) for name in ("selected", "memorised")}
    for group in ("clean", "noisy"):
        found[f"attention_{group}"] = ((*dims, "token_kind"), rng.uniform(size=(*shape, 4)))
    found["diverged_at"] = (dims[:3], np.full(shape[:3], -1))
    results = xr.Dataset(found, coords=coords | {"token_kind": list(TOKEN_KINDS)})
    return results.assign_attrs(experiment=json.dumps({"task": {"train_size": 5}}))
