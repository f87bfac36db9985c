"""The runs of a sweep as records, one for each run: what a program reads, as JSON or CSV."""

import csv
import io
import json
import math
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.crossings import Times
from collapse_jax.analysis.events import Levels, thresholds_of
from collapse_jax.analysis.summary import Summary, summarise


def run_records(summary: Summary) -> list[dict[str, Any]]:
    """Return a dictionary for each run, with the same keys in all of them; None is what nobody knows.

    Its hyperparameters; the last value of each variable of the tables; of each time scale tau_x: `tau_x`, in steps,
    `tau_x_lower` and `tau_x_upper`, the log steps between which it ends, `tau_x_censored`, whether that was not
    seen (`tau_x` is then a lower bound), `tau_x_held`, the share of the later log steps that still meet the level,
    `tau_x_applicable`, False where it could not happen; `diverged_at` and `retired_at`.
    """
    records = []
    for run, point in enumerate(summary.points):
        record = {name: _plain(value) for name, value in point.items()}
        record |= {name: _plain(values[run]) for name, values in summary.final.items()}
        for event, times in summary.columns():
            record |= _time(event.tau, times, run)
        for name, steps in (("diverged_at", summary.diverged_at), ("retired_at", summary.retired_at)):
            record[name] = int(steps[run]) if steps[run] >= 0 else None
        records.append(record)
    return records


def _time(tau: str, times: Times, run: int) -> dict[str, Any]:
    one = Times(*(values[run] for values in times))
    known = bool(one.applicable) and math.isfinite(one.steps)
    return {
        tau: _plain(one.steps) if known else None,
        f"{tau}_lower": _plain(one.lower) if known else None,
        f"{tau}_upper": _plain(one.upper) if known else None,
        f"{tau}_censored": bool(one.censored) if known else None,
        f"{tau}_held": _plain(one.held) if known else None,
        f"{tau}_applicable": bool(one.applicable),
    }


def _plain(value: Any) -> Any:
    """Return a number as Python has it, None where it is not finite."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_json(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Return the tables of a sweep as JSON without NaN: title, fingerprint, thresholds, slopes and runs."""
    summary = summarise(results, thresholds)
    whole = {
        "title": results.attrs.get("title", ""),
        "fingerprint": results.attrs.get("fingerprint", ""),
        "thresholds": vars(thresholds_of(results, thresholds)),
        "slopes": [
            {name: [*map(_plain, v)] if isinstance(v, list) else _plain(v) for name, v in vars(slope).items()}
            for slope in summary.slopes
        ],
        "runs": run_records(summary),
    }
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False)


def as_csv(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Return the runs of a sweep as comma-separated values with a header; nothing stands for None."""
    records = run_records(summarise(results, thresholds))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
