"""Results of sweeps that never ran, with known time scales."""

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.experiment.config import Experiment, Grid
from collapse_jax.workdir.join import join
from collapse_jax.workdir.tree import planned

PAPER_DECAYS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
GROK, COLLAPSE, FIT = 0.6, 1.0, 400.0  # tau_grok = GROK/(eta lambda), tau_collapse = COLLAPSE/(eta lambda)
ATTRS = {
    "train_accuracy": ("train accuracy", "1"),
    "test_accuracy": ("test accuracy", "1"),
    "rnc1": ("RNC1 = Tr(Σ_W) / sup‖g‖²", "1"),
    "nc2_condition": ("condition number of the class means", "1"),
    "weight_norm": ("weight norm", "1"),
}


def paper_schedule(last: int) -> np.ndarray:
    steps = [t for t in range(last + 1) if t < 30 or (t < 150 and t % 10 == 0) or t % max(last // 150, 1) == 0]
    return np.array(steps)


def curves(eta, decay, seed, steps, jitter=0.0, noise=0.0) -> dict[str, np.ndarray]:
    """One run: sigmoids in log(1 + step) whose crossings of the default thresholds are the known times."""
    rng = np.random.default_rng([seed, round(1e6 * decay), 7])
    shift = np.exp(jitter * np.random.default_rng(seed).normal() + 0.4 * jitter * rng.normal(size=3))
    clock = np.log1p(steps)
    fit, grok, collapse = (
        np.log1p(t * s) for t, s in zip((FIT, GROK / (eta * decay), COLLAPSE / (eta * decay)), shift, strict=True)
    )

    def sigmoid(u, centre, slope):
        return 1 / (1 + np.exp(-slope * (u - centre)))

    # test accuracy = .12 + .78 sigmoid(k (u - c)) equals .85 where the logit is log(.73/.05)
    train = 0.1 + 0.9 * sigmoid(clock, fit - np.log(0.89 / 0.01) / 4, 4)
    test = 0.12 + 0.78 * sigmoid(clock, grok - np.log(0.73 / 0.05) / 3, 3)
    fall = sigmoid(clock, collapse, 1.6)
    rnc1 = np.exp(np.log(0.25) + 2 * (np.log(0.01) - np.log(0.25)) * fall)
    nc2 = 1.05 + 11 * (1 - sigmoid(clock, collapse - 0.5, 1.8))
    norm = 8 + 60 * (1 - sigmoid(clock, collapse - 0.8, 1.5))
    wiggle = noise * rng.normal(size=(4, len(steps)))
    return {
        "train_accuracy": np.clip(train + 0.2 * wiggle[0] * (train < 0.98), 0, 1),
        "test_accuracy": np.clip(test + wiggle[1], 0, 1),
        "rnc1": rnc1 * np.exp(6 * wiggle[2]),
        "nc2_condition": 1 + (nc2 - 1) * np.exp(6 * wiggle[3]),
        "weight_norm": norm,
    }


def make_results(
    weight_decay=PAPER_DECAYS,
    seed=range(5),
    learning_rate=(1e-3,),
    last=300_000,
    done=None,
    jitter=0.0,
    noise=0.0,
) -> xr.Dataset:
    """A product grid. `done`: the last step logged so far."""
    steps = paper_schedule(last)
    dims = ("learning_rate", "weight_decay", "seed")
    axes = (tuple(learning_rate), tuple(weight_decay), tuple(seed))
    shape = tuple(map(len, axes))
    data = {name: np.empty((*shape, len(steps)), np.float32) for name in ATTRS}
    for index in np.ndindex(shape):
        eta, decay, s = (a[i] for a, i in zip(axes, index, strict=True))
        for name, values in curves(eta, decay or 1e-30, s, steps, jitter, noise).items():
            data[name][index] = values
    out = xr.Dataset(
        {k: ((*dims, "step"), v) for k, v in data.items()},
        coords={**dict(zip(dims, map(list, axes), strict=True)), "step": steps},
    )
    out["diverged_at"] = (dims, np.full(shape, -1))
    for name, (long_name, units) in ATTRS.items():
        out[name].attrs = {"long_name": long_name, "units": units, "definition": long_name}
    if done is not None:
        unlogged = out.data_vars.keys() - {"diverged_at"}
        out = out.assign({k: out[k].where(out["step"] <= done) for k in unlogged})
    return out.squeeze("learning_rate") if len(axes[0]) == 1 else out


def as_zip(results: xr.Dataset) -> xr.Dataset:
    """The same runs as a zip grid: dims (run, step)."""
    dims = [d for d in results["diverged_at"].dims]
    out = results.stack(run=dims).reset_index("run").drop_vars("run", errors="ignore").transpose("run", "step", ...)
    return out.assign_coords({k: c.broadcast_like(out["run"]) for k, c in out.coords.items() if c.dims == ()})


def diverge(results: xr.Dataset, step: int, **run) -> xr.Dataset:
    """The results with the selected runs diverged at `step`."""
    hit = xr.ones_like(results["diverged_at"], bool)
    for name, value in run.items():
        hit = hit & (results[name] == value)
    out = {k: v.where(~hit | (results["step"] < step)) for k, v in results.items() if "step" in v.dims}
    return results.assign(out | {"diverged_at": xr.where(hit, step, results["diverged_at"])})


def join_parts(axes, parts):
    """Join results at points of static axes as those of a workdir are joined."""
    first = parts[0][1]
    traced = {name: tuple(first[name].values.tolist()) for name in ("weight_decay", "seed")}
    whole = Experiment(grid=Grid(**axes, **traced))
    leaves = {str(node.point): node for node in planned(epath.Path("w"), whole) if node.is_leaf}
    return join(whole, [(leaves[str(point)], results) for point, results in parts])


def retire(results, at, axis="weight_decay"):
    """The results with some runs retired, at {(value of the axis, seed): step}."""
    steps = xr.zeros_like(results["diverged_at"]) - 1
    for (value, seed), step in at.items():
        steps.loc[{axis: value, "seed": seed}] = step
    kept = (steps < 0) | (results["step"] <= steps)
    curves = {
        name: values.where(kept).transpose(*values.dims)
        for name, values in results.items()
        if "step" in values.dims
    }
    return results.assign(curves | {"retired_at": steps})
