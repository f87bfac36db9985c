"""What stands below a figure: how to read its lines, and what is missing from them."""

import numpy as np
import xarray as xr

from collapse_jax.experiment.axes import STATIC
from collapse_jax.experiment.points import describe_point
from collapse_jax.figures.series import ENDS, Series, ends_of
from collapse_jax.workdir.join import ended, retired_at


def reading_note(
    results: xr.Dataset,
    series: list[Series],
    log: bool = True,
    *further: xr.Dataset,
    spread: str = "band",
    crosses: bool = True,
) -> str:
    """How to read the lines, and what is missing from them, in words.

    `further` results are in the same figure; `spread` is what goes from the lowest to the highest seed, "" where
    nothing does; `crosses` says that the last values of diverged and retired runs are marked.
    """
    counts = sorted({s.runs.sizes["run"] for s in series})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if counts == [1]:
        parts = ["One run per line."]
    else:
        kind = "mean (geometric on logarithmic axes)" if log else "mean"
        extremes = f"; {spread}: lowest to highest seed" if spread else ""
        parts = [f"Line: {kind} over {seeds} seeds{extremes}."]
    for marker, (word, crossed, plain) in ENDS.items():
        ends = [at for r in (results, *further) for at in ends_of(r).get(marker, np.empty(0)).flat]
        count = sum(int(at) >= 0 for at in ends)
        if count:
            parts.append(f"{count} of {len(ends)} runs {word}: {crossed if crosses else plain}.")
    return " ".join([*parts, *_static_note(results), progress_note(results, *further)]).strip()


def shortened_note(results: xr.Dataset) -> str:
    """That means end early, of figures that take `until_the_first_retires`; "" where no run retired."""
    early = bool((retired_at(results) >= 0).any()) if "retired_at" in results else False
    return " Means end where the first of their runs retires." if early else ""


def _static_note(results: xr.Dataset) -> list[str]:
    """Which program of a grid with static axes is drawn."""
    point = {name: results[name].item() for name in STATIC if name in results.coords and not results[name].dims}
    return [f"Program {describe_point(point)}."] if point else []


def progress_note(*results: xr.Dataset) -> str:
    """How far an unfinished sweep is, or those of several that are not finished; empty where all are."""
    reached = []
    for part in results:
        if "retired_at" in part and bool(ended(part).all()):
            continue
        steps = part["step"].values
        seen = np.zeros(len(steps), bool)
        for values in part.data_vars.values():
            if "step" in values.dims:
                seen |= values.notnull().any([d for d in values.dims if d != "step"]).values
        if seen.any() and not seen[-1]:
            reached.append(int(steps[seen][-1]))
    if not reached:
        return ""
    some = f"{len(reached)} of {len(results)} programs, " if len(results) > 1 else ""
    far = " to ".join(f"{step:,}" for step in sorted({min(reached), max(reached)}))
    return f"Not finished: {some}{far} of {max(int(part['step'].max()) for part in results):,} steps so far."
