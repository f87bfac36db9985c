"""When each phase of training happens: fitting, grokking and collapse, in steps, one number per run.

Source of the three times: arXiv 2509.20829, Theorem 4.3 (tau_1 = fitting, tau_2 = collapse) and Figure 3.
"""

import math

import numpy as np
import xarray as xr

from collapse_jax.experiment.config import Thresholds

# phase -> (variable of the results, sign of the comparison, wording)
PHASES = {
    "fit": ("train_accuracy", ">=", "time to fit the training set"),
    "grok": ("test_accuracy", ">=", "time to generalise (grokking)"),
    "collapse": ("rnc1", "<=", "time to neural collapse"),
}


def condition(phase: str, thresholds: Thresholds) -> str:
    """The condition that ends a phase, in words: 'train accuracy ≥ 0.99'."""
    variable, sign, _ = PHASES[phase]
    name = "RNC1" if variable == "rnc1" else variable.replace("_", " ")
    return f"{name} {'≥' if sign == '>=' else '≤'} {getattr(thresholds, variable):g}"


def first_crossing(
    values: np.ndarray, steps: np.ndarray, threshold: float, sign: str, *, log: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first step at which a curve meets a threshold, between log points if need be.

    With i the first log point that meets it, the crossing is read off the straight line between the
    points i-1 and i over u = log(1 + step): u = u_{i-1} + (h(thr) - h(v_{i-1})) / (h(v_i) - h(v_{i-1})) *
    (u_i - u_{i-1}), with h = log if `log` (and both values are positive), else the identity: the line that
    a figure shows. log(1 + step) equals log(step) to 1/step and is finite at step 0. A curve that meets the
    threshold at its first log point crosses there; one whose point i-1 is nan or infinite at point i.

    Args:
      values: [..., T] the curves; nan never meets a threshold.
      steps: [T] increasing steps, the first may be 0.
      threshold: the level, compared in the dtype of `values`: a float32 accuracy of 0.7 meets 0.7.
      sign: ">=" or "<=".
      log: whether the values live on a logarithmic scale, as RNC1 does, which falls through decades.

    Returns:
      tau: [...] float64 steps; where censored, the last step with a value, a lower bound; nan without any.
      censored: [...] True where the threshold was not met.
      bracket: [...] how well the schedule resolves tau: the ratio (1 + step_i) / (1 + step_{i-1}) of the log
        points around it; 1 at the first log point, nan where censored.
    """
    level = values.dtype.type(threshold)
    met = values >= level if sign == ">=" else values <= level
    crossed = met.any(axis=-1)
    here = met.argmax(axis=-1)
    before = np.maximum(here - 1, 0)
    clock = np.log1p(steps.astype(np.float64))

    def at(index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, index[..., None], axis=-1)[..., 0].astype(np.float64)

    low, high = at(before), at(here)
    inside = crossed & (here > 0) & np.isfinite(low) & np.isfinite(high)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 1.0)
    target = np.full(low.shape, float(level))
    if log:
        positive = (low > 0) & (high > 0) & (target > 0)
        low, high, target = (np.where(positive, np.log(np.where(positive, v, 1.0)), v) for v in (low, high, target))
    fraction = np.where(inside, (target - low) / (high - low), 1.0)
    # The exact log point where there is nothing to interpolate: expm1(log1p(n)) is n only up to rounding.
    exact = ~inside | (fraction == 1.0)
    tau = np.where(exact, steps[here], np.expm1(clock[before] + fraction * (clock[here] - clock[before]))).astype(
        np.float64
    )

    observed = ~np.isnan(values)
    last = values.shape[-1] - 1 - observed[..., ::-1].argmax(axis=-1)
    bound = np.where(observed.any(axis=-1), steps[last].astype(np.float64), math.nan)
    bracket = np.where(crossed, np.exp(clock[here] - clock[before]), math.nan)
    return np.where(crossed, tau, bound), ~crossed, bracket


def timescales(results: xr.Dataset, thresholds: Thresholds | None = None) -> xr.Dataset:
    """The steps at which every run fits, groks and collapses.

    tau_fit = min{t: train_accuracy >= thr}, tau_grok = min{t: test_accuracy >= thr},
    tau_collapse = min{t: rnc1 <= thr}: first crossings, so a run that falls back later keeps its time.
    Between log points see `first_crossing`. A run that never crosses is kept and flagged in
    `<phase>_censored`; its tau is then the last step with a value (for a diverged run its last healthy one),
    which is a lower bound. Units: steps. Source: arXiv 2509.20829, Theorem 4.3.

    Args:
      results: dims (..., step); a phase whose variable is missing is left out.
      thresholds: the levels; the defaults of `Thresholds` if None.

    Returns:
      A dataset over the run dims with tau_fit, tau_grok, tau_collapse, <phase>_censored, <phase>_bracket
      (the factor within which the log schedule can place tau; a sparse schedule biases it), and
      separation = tau_grok / tau_fit (a lower bound where separation_censored, nan for a run that never
      fitted or that fits at step 0).
    """
    thresholds = thresholds or Thresholds()
    out = xr.Dataset(coords={k: c for k, c in results.coords.items() if "step" not in c.dims})
    for phase, (variable, sign, long_name) in PHASES.items():
        if variable not in results or results.sizes.get("step", 0) == 0:
            continue
        # Steps at which only other variables were measured are no gaps of this one.
        curves = results[variable].dropna("step", how="all")
        curves = (curves if curves.sizes["step"] else results[variable]).transpose(..., "step")
        steps = curves["step"].values
        level = getattr(thresholds, variable)
        tau, censored, bracket = first_crossing(curves.values, steps, level, sign, log=variable == "rnc1")
        text = condition(phase, thresholds)
        definition = f"first step with {text}, interpolated in log(1 + step); a lower bound where censored"
        out[f"tau_{phase}"] = (
            curves.dims[:-1],
            tau,
            {"long_name": long_name, "units": "steps", "definition": definition, "threshold": level},
        )
        out[f"{phase}_censored"] = (
            curves.dims[:-1],
            censored,
            {"long_name": f"{long_name}: not reached", "units": "1", "definition": f"never {text}"},
        )
        out[f"{phase}_bracket"] = (
            curves.dims[:-1],
            bracket,
            {
                "long_name": f"{long_name}: resolution",
                "units": "1",
                "definition": "ratio of the two log steps (plus 1) around tau",
            },
        )
    if "tau_fit" in out and "tau_grok" in out:
        fitted = ~out["fit_censored"] & (out["tau_fit"] > 0)
        ratio = out["tau_grok"] / out["tau_fit"].where(fitted)
        out["separation"] = ratio.assign_attrs(
            long_name="grokking delay", units="1", definition="tau_grok / tau_fit; nan if never fitted"
        )
        out["separation_censored"] = out["grok_censored"].assign_attrs(
            long_name="grokking delay: lower bound", units="1", definition="grok_censored"
        )
    return out


def scaled_time(results: xr.Dataset) -> xr.Dataset:
    """Adds the coordinate scaled_time = learning_rate * weight_decay * step.

    In units of the weight-decay time 1/(eta lambda), dimensionless: curves of different weight decays fall
    on each other where tau = C / (eta lambda), as arXiv 2509.20829, Theorem 4.3 has it for RNC1.

    Raises:
      ValueError: if the results lack the coordinate learning_rate or weight_decay.
    """
    for name in ("learning_rate", "weight_decay"):
        if name not in results.coords:
            raise ValueError(f"scaled time eta*lambda*t needs the coordinate {name!r}, which the results lack")
    clock = results["learning_rate"] * results["weight_decay"] * results["step"]
    attrs = {
        "long_name": "scaled time η·λ·t",
        "units": "1",
        "definition": "learning_rate * weight_decay * step",
    }
    return results.assign_coords(scaled_time=clock.assign_attrs(attrs))
