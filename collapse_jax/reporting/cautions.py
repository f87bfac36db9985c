"""What a reader must know before believing the numbers of a sweep: one sentence each, the gravest first."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from collapse_jax.analysis.events import EVENTS
from collapse_jax.analysis.groups import at_the_end
from collapse_jax.analysis.linearity import REJECTED
from collapse_jax.analysis.nulls import LEVEL, holm, null_name
from collapse_jax.experiment.classes import without_examples
from collapse_jax.experiment.points import point_text
from collapse_jax.reporting.sweeps import Sweep
from collapse_jax.system.progress import listed
from collapse_jax.workdir.join import all_points
from collapse_jax.workdir.record import RECORD
from collapse_jax.workdir.results import ENDS, RESULTS

COARSE = 2.0  # a time known to no better than this factor
FEW_SEEDS = 3  # below which the coverage of an interval rests on its model alone


def cautions(sweep: Sweep) -> list[str]:
    """Return the warnings of a sweep, none for one that is whole, resolved and repeated often enough."""
    return [
        *_untrained(sweep),
        *_diverged(sweep),
        *_retired(sweep),
        *_unfinished(sweep),
        *_censored(sweep),
        *_not_applicable(sweep),
        *_passing(sweep),
        *_coarse(sweep),
        *_seeds(sweep),
        *_lines(sweep),
        *_reference(sweep),
        *_nulls(sweep),
        *_provenance(sweep),
    ]


def comparison_cautions(sweeps: Sequence[Sweep]) -> list[str]:
    """Return what keeps the numbers of several sweeps from being compared."""
    levels = {sweep.name: str(sweep.thresholds) for sweep in sweeps}
    if len(set(levels.values())) == 1:
        return []
    return ["The thresholds differ, so the time scales of these sweeps are not times of the same events."]


def _untrained(sweep: Sweep) -> Iterator[str]:
    counts = [manifest.get("data", {}).get("train_class_counts", []) for manifest in sweep.manifests]
    for none in dict.fromkeys(filter(None, map(without_examples, counts))):
        yield f"There was {none}."


def _diverged(sweep: Sweep) -> Iterator[str]:
    at = sweep.summary.diverged_at
    bad = np.flatnonzero(at >= 0).tolist()
    if bad:
        names = listed([f"{sweep.name_of(run)} at step {int(at[run]):,}" for run in bad])
        yield f"{_of(bad, sweep)} diverged, and {'is' if len(bad) == 1 else 'are'} masked from then on: {names}."


def _retired(sweep: Sweep) -> Iterator[str]:
    at, events = sweep.summary.retired_at, sweep.experiment.stop.events or ()
    runs = np.flatnonzero(at >= 0).tolist()
    if not runs:
        return
    others = [event.tau for name, event in EVENTS.items() if name in sweep.summary.times and name not in events]
    bound = (
        f" What had not come by then of {', '.join(others)} is a lower bound that depends on the events of the "
        "rule: rates, medians and slopes, which take bounds for independent, are biased."
        if others
        else ""
    )
    yield (
        f"{_of(runs, sweep)} retired at steps {at[runs].min():,} to {at[runs].max():,} by the stop rule "
        f"({', '.join(events)}): last values are those of that step.{bound}"
    )


def _unfinished(sweep: Sweep) -> Iterator[str]:
    runs, last = sweep.unfinished, sweep.experiment.steps
    if not runs:
        return
    reached = sweep.summary.reached[runs]
    low, high = (f"{max(int(value), 0):,}" for value in (reached.min(), reached.max()))
    where = f"step {high}" if low == high else f"steps {low} to {high}"
    open_ = "; a process trains here, or was killed" if sweep.is_being_written else ""
    yield f"Not finished: {_of(runs, sweep)} at {where} of {last:,}{open_}. Last values are those of that step."
    missing = str(sweep.results.attrs.get("missing", ""))
    if missing:
        yield f"Without these parts: {missing}."


def _censored(sweep: Sweep) -> Iterator[str]:
    for name, times in sweep.summary.times.items():
        runs = np.flatnonzero(times.censored & times.applicable & np.isfinite(times.steps)).tolist()
        if runs:
            event = EVENTS[name]
            level = event.condition(sweep.thresholds)
            yield (
                f"{event.tau} of {_of(runs, sweep)} is a lower bound (censored, marked >), since {level} was not "
                f"reached: {listed([sweep.name_of(run) for run in runs])}."
            )


def _not_applicable(sweep: Sweep) -> Iterator[str]:
    for name, times in sweep.summary.times.items():
        runs = np.flatnonzero(~times.applicable).tolist()
        if runs:
            names = listed([sweep.name_of(run) for run in runs])
            reason = EVENTS[name].why_not(sweep.thresholds)
            yield f"{EVENTS[name].tau} of {_of(runs, sweep)} is not applicable (n/a): {reason}: {names}."


def _passing(sweep: Sweep) -> Iterator[str]:
    for name, times in sweep.summary.times.items():
        runs = np.flatnonzero(times.held < 1).tolist()
        if runs:
            event, share = EVENTS[name], np.nanmin(times.held)
            yield (
                f"{event.tau} of {_of(runs, sweep)} is a first crossing that did not last: {event.quantity} left "
                f"its level again, and meets it at as few as {share:.0%} of the later log steps. "
                f"{event.lasting.tau} is the step from which on it stayed."
            )


def _coarse(sweep: Sweep) -> Iterator[str]:
    for name, times in sweep.summary.times.items():
        runs = np.flatnonzero(times.resolution > COARSE).tolist()
        if runs:
            yield (
                f"{EVENTS[name].tau} of {_of(runs, sweep)} is known only to within a factor of up to "
                f"{np.nanmax(times.resolution):.3g}: the log steps around it are that far apart."
            )


def _seeds(sweep: Sweep) -> Iterator[str]:
    counts = [len(runs) for _, runs in sweep.summary.settings()]
    fewest = min(counts)
    if fewest == 1:
        yield (
            "One run per setting: nothing says how much another seed would change."
            if max(counts) == 1
            else ("Some settings have one run: nothing says how much another seed would change them.")
        )
    elif fewest < FEW_SEEDS and sweep.summary.slopes:
        yield (
            f"{fewest} seeds: intervals of slopes over so few are wide and hold their 95 % only where the slopes "
            "of seeds are normal, and the range of seeds is no interval."
        )


def _lines(sweep: Sweep) -> Iterator[str]:
    rejected = [fit for fit in sweep.summary.slopes if fit.rejected]
    if rejected:
        names = [f"{fit.tau}{f' at {point_text(fit.point)}' if fit.point else ''}" for fit in rejected]
        yield (
            f"No power law (lack of fit, p < {REJECTED:g}): {listed(names)}. The slope is that of a line which "
            "the times do not follow: read the local slopes."
        )


def _reference(sweep: Sweep) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for name, variable in sweep.results.data_vars.items():
        record = json.loads(variable.attrs.get("measured", "{}"))
        if record.get("options", {}).get("mode") == "reference":
            found.setdefault(record["measure"], []).append(str(name))
    for measure, names in found.items():
        yield (
            f"{measure} was measured with mode=reference, which repeats a published estimator with its faults: "
            f"{listed(names)}."
        )


def _nulls(sweep: Sweep) -> Iterator[str]:
    """Values of the last step measured that permutations explain, after a correction for all that were tested."""
    results, tested, unknown = sweep.results, {}, []
    for name in map(str, results.data_vars):
        variable = results[name]
        if null_name(variable) not in results or set(variable.dims) != {*results["diverged_at"].dims, "step"}:
            continue
        p = null_name(variable, "p")
        if p in results:
            tested[name] = _last_of_each_program(results, p)
        else:
            unknown.append(name)
    sizes = [len(values) for values in tested.values()]
    adjusted = np.split(holm(np.concatenate([*tested.values(), np.empty(0)])), np.cumsum(sizes))
    found = [
        f"{name} in {int(np.sum(values > LEVEL))} of {int(np.sum(np.isfinite(values)))} runs"
        for name, values in zip(tested, adjusted, strict=False)
        if np.any(values > LEVEL)
    ]
    if found:
        count = sum(int(np.sum(np.isfinite(values))) for values in tested.values())
        yield (
            f"In the range of its null at the last step measured (permutation p-value above {LEVEL:g} after Holm's "
            f"correction for all {count:,} values tested), and so without evidence there: {listed(found)}."
        )
    if unknown:
        yield f"Measured with a null of one permutation, which gives no p-value; measure again: {listed(unknown)}."


def _last_of_each_program(results: xr.Dataset, name: str) -> np.ndarray:
    """The values of a variable at the last step at which a program's runs were measured, run after run."""
    values = []
    for point in list(all_points(results)) or [{}]:
        ends = [each for each in ENDS if each in results]
        measured = results[[name, *ends]].sel(point).dropna("step", how="all", subset=[name])
        if measured.sizes["step"]:
            values.append(at_the_end(measured)[name].values.ravel())
    return np.concatenate([*values, np.empty(0)])


def _provenance(sweep: Sweep) -> Iterator[str]:
    if not sweep.manifests:
        yield f"{RECORD} is missing: versions, device and data are unknown."
    if any((manifest.get("git_commit") or "").endswith("+") for manifest in sweep.manifests):
        yield "Trained from a checkout with changes that its git commit does not hold."
    if not any((folder / RESULTS).exists() for folder in (sweep.workdir, *sweep.parts)):
        yield f"{RESULTS} is missing: only what `measure` took of the snapshots is shown."


def _of(runs: Sequence[int], sweep: Sweep) -> str:
    return f"{len(runs)} of {sweep.runs} run{'s' if sweep.runs > 1 else ''}"
