"""Half-violins of the signed distances to a decision boundary, per class, before and after grokking."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.experiment.axes import AXES, TRACED
from collapse_jax.experiment.extensions import named_files
from collapse_jax.experiment.points import point_text
from collapse_jax.figures import style
from collapse_jax.system.files import is_there
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.record import RECORD, read_experiment, read_record
from collapse_jax.workdir.results import open_results

# The two classes of a pair: positive margins belong to the first (Okabe-Ito, distinct for colour-blind readers).
COLOURS = ("#0072b2", "#d55e00")
PREFERRED = ("weight_decay", 0.01)  # of the run that is shown: the axis, and the value to which it is nearest
SPLITS = {"train": "training", "test": "unseen"}
# Narrower than this fraction of the axis, a collapsed class would be drawn as nothing.
NARROWEST = 1 / 300
GRID = 512


@dataclasses.dataclass(frozen=True)
class PairMargins:
    """The margins of one pair of classes at one step.

    Attributes:
      pair: the classes a and b.
      step: training step.
      train: margins of the training examples of class a, and of class b; each a vector.
      test: the same for unseen examples.
    """

    pair: tuple[int, int]
    step: int
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def margins_of(snapshot: Any, pair: tuple[int, int], step: int) -> PairMargins:
    """The margins of a `Snapshot` with a test probe and a head.

    Raises:
      NotDrawableError: the snapshot lacks one of them.
      ValueError: the pair is not two different classes.
    """
    from collapse_jax.measures.families.margins import pair_margins  # imports jax

    for name, part in (("test features", snapshot.test), ("the last layer (head)", snapshot.head_kernel)):
        if part is None:
            raise style.NotDrawableError(f"the snapshots hold no {name}")
    split = {}
    for name, probe in (("train", snapshot.train), ("test", snapshot.test)):
        values = np.asarray(pair_margins(probe.features, snapshot.head_kernel, snapshot.head_bias, pair))
        labels = np.asarray(probe.labels)
        split[name] = (values[labels == pair[0]], values[labels == pair[1]])
    return PairMargins(pair, step, split["train"], split["test"])


def widest_gap(results: xr.Dataset, run: Mapping[str, Any], steps: Sequence[int]) -> int:
    """The step of `steps` at which training accuracy exceeds test accuracy most; the first without accuracies."""
    if not {"train_accuracy", "test_accuracy"} <= set(results.data_vars):
        return int(steps[0])
    gap = results["train_accuracy"] - results["test_accuracy"]
    for name, value in run.items():
        matches = np.isclose(gap[name], value, rtol=1e-5, atol=0)
        gap = gap.isel({gap[name].dims[0]: matches}) if gap[name].ndim else gap
    # Snapshot steps need not be log steps: the nearest of those tells.
    gap = gap.dropna("step", how="all")
    if not gap.sizes["step"]:
        return int(steps[0])
    values = gap.sel(step=list(steps), method="nearest").transpose("step", ...).values
    values = values.reshape(len(steps), -1)[:, 0].astype(np.float64)
    return int(steps[int(np.nanargmax(values))]) if np.isfinite(values).any() else int(steps[0])


def pick_run(results: xr.Dataset) -> dict[str, Any]:
    """The hyperparameters of the run to show: weight decay 0.01 or the nearest, the first of every other axis."""
    columns = {name: np.atleast_1d(results[name].values) for name in TRACED if name in results.coords}
    axis, wanted = PREFERRED
    nearest = int(np.argmin(np.abs(np.log(np.maximum(columns.get(axis, np.ones(1)), 1e-12) / wanted))))
    run = {}
    for name, values in columns.items():
        if len(values) > 1:
            run[name] = values[nearest if name == axis or "run" in results.dims else 0].item()
    return run


def workdir_violins(
    workdir: str | os.PathLike[str],
    *,
    run: Mapping[str, Any] | None = None,
    steps: Sequence[int] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    trust: bool = False,
) -> Figure:
    """The figure of one run of a sweep, from its stored snapshots.

    Args:
      workdir: of a sweep whose snapshots hold train, test and head (or parameters).
      run: hyperparameters of the run, such as `{"weight_decay": 0.01, "seed": 0}`; None: weight decay 0.01 or the
        nearest, first seed.
      steps: snapshot steps, one row each; None: that of the widest gap between training and test accuracy
        (before grokking), and the last.
      pairs: class pairs; None: (0, 1), (4, 5), (8, 9), as far as there are such classes.
      trust: run the files of a model or task of one's own that the workdir names.

    Raises:
      NotDrawableError: the snapshots lack what the figure needs, or it would run files that are not trusted.
      ValueError: a step without a snapshot, or a pair that is not two different classes.
    """
    if not trust:
        refuse_to_run(workdir)
    if not is_there(path_of("workdir", workdir) / "snapshots"):
        raise style.NotDrawableError("no snapshot is stored")
    # These import jax.
    from collapse_jax.measures.families.margins import check_pairs
    from collapse_jax.measuring.snapshots import open_snapshots

    snapshots = open_snapshots(workdir, trust=trust)
    stored = [int(step) for step in snapshots.steps]
    if not stored:
        raise style.NotDrawableError("no snapshot is stored")
    results = open_results(workdir)
    run = pick_run(results) | dict(run or {})
    if steps is None:
        steps = sorted({widest_gap(results, run, stored), stored[-1]})
    for step in steps:
        if step not in stored:
            raise ValueError(f"steps: {step}; snapshots are stored of {', '.join(map(str, stored))}")
    rows = []
    for step in steps:
        snapshot = snapshots.snapshot(step, run)
        rows += [margins_of(snapshot, pair, step) for pair in check_pairs(pairs, snapshot.num_classes)]
    always = [name for name, axis in AXES.items() if axis.dimension and name in results.coords]
    fixed = {name: results[name].values.flat[0].item() for name in always}
    return violins(rows, caption=f"Run: {point_text(fixed | run)}.")


def refuse_to_run(workdir: str | os.PathLike[str]) -> None:
    """Raise `NotDrawableError` where a workdir names code: to look at it must run nothing that others wrote."""
    path = path_of("workdir", workdir)
    names = named_files(read_experiment(read_record(path))) if (path / RECORD).exists() else {}
    if names:
        files = ", ".join(names.values())
        raise style.NotDrawableError(f"it would run {files}, which the workdir names; say --trust if it may")


@style.styled
def violins(margins: Sequence[PairMargins], caption: str = "") -> Figure:
    """Margins of pairs of classes, training and unseen examples, before and after grokking.

    One row per step, one pair of panels (training, unseen) per class pair. Upper half: density of the margins of
    class a, which are right of 0 when correct; lower half: class b, right when left of 0. Source: arXiv 2509.20829,
    Figures 2 and 5; the kernel density estimate has Scott's bandwidth times 0.8.

    Args:
      margins: every combination of the steps and pairs to draw.
      caption: added to the note below the figure.

    Raises:
      NotDrawableError: no margins, a combination is missing, or no value is finite.
    """
    found = {(m.step, m.pair): m for m in margins}
    steps, pairs = sorted({m.step for m in margins}), list(dict.fromkeys(m.pair for m in margins))
    if not found:
        raise style.NotDrawableError("there are no margins to draw")
    for key in ((step, pair) for step in steps for pair in pairs):
        if key not in found:
            raise style.NotDrawableError(f"there are no margins of classes {key[1]} at step {key[0]}")
    finite = np.concatenate([_finite(v) for m in margins for v in (*m.train, *m.test)])
    if not finite.size:
        raise style.NotDrawableError("no margin is finite")
    reach = 1.15 * max(float(np.quantile(np.abs(finite), 0.999)), 1e-12)
    width = max(0.9 + 4.0 * len(pairs), 8.4)
    figure = style.new_figure(width, 1.5 + 2.1 * len(steps))
    panels = figure.subplots(len(steps), 2 * len(pairs), squeeze=False, sharex=True, sharey=True)
    for i, step in enumerate(steps):
        for j, pair in enumerate(pairs):
            for k, split in enumerate(SPLITS):
                axes = panels[i, 2 * j + k]
                _half_violins(axes, pair, getattr(found[step, pair], split), reach)
                if i == 0:
                    axes.set_title(f"{pair[0]} and {pair[1]}: {SPLITS[split]}", fontsize=9.5)
                if i == len(steps) - 1:
                    axes.set_xlabel("signed distance")
                if j == k == 0:
                    axes.set_ylabel(f"step {step:,}", fontsize=10, weight="bold")
    note = (
        "Density of the signed distance of examples to the boundary between two classes (dashed), equal areas. The "
        "first class, up, is right where the distance is positive; the second, down, where it is negative. White "
        f"lines, where they fit: median and quartiles. {caption}"
    )
    style.heading(figure, "Margins of two classes, before and after grokking", note)
    return figure


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64).ravel()
    return values[np.isfinite(values)]


def _half_violins(axes: Axes, pair: tuple[int, int], both: tuple[np.ndarray, np.ndarray], reach: float) -> None:
    """Class a upwards and class b downwards, scaled so that the higher of the two fills its half."""
    x = np.linspace(-reach, reach, GRID)
    halves = [_finite(values) for values in both]
    densities = [density(values, x) for values in halves]
    highest = max((float(d.max()) for d in densities if d is not None), default=1.0)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.axvline(0, color="#333333", linewidth=0.9, linestyle=(0, (4, 2)))
    for sign, label, values, curve, colour in zip((1, -1), pair, halves, densities, COLOURS, strict=True):
        text = f"{label}: none"
        if curve is not None:
            text = f"{label}: {100 * np.mean(values * sign <= 0):.1f} % wrong"
            _half(axes, values, x, sign * 0.8 * curve / highest, colour)
        # Beyond the halves, which end at 0.8; on the wrong side of the boundary.
        at, align = (0.02, "left") if sign > 0 else (0.98, "right")
        look: dict[str, Any] = {"color": colour, "fontsize": 7.8, "ha": align, "va": "center"}
        axes.text(at, 1.1 * sign, text, transform=axes.get_yaxis_transform(), **look)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-1.3, 1.3)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _half(axes: Axes, values: np.ndarray, x: np.ndarray, height: np.ndarray, colour: str) -> None:
    """One half: its area, its outline, and median and quartiles unless they would hide it."""
    seen = np.abs(height) > 2e-3
    axes.fill_between(x, 0, height, where=seen, color=colour, alpha=0.75, linewidth=0)
    axes.plot(x, np.where(seen, height, np.nan), color=colour, linewidth=0.9)
    quartiles = np.quantile(values, (0.25, 0.5, 0.75))
    if quartiles[2] - quartiles[0] < 0.04 * (x[-1] - x[0]):
        return
    for at, width in zip(quartiles, (0.9, 1.6, 0.9), strict=True):
        axes.plot([at, at], [0, np.interp(at, x, height)], color="white", linewidth=width)


def density(values: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    """Gaussian kernel density of `values` on the grid `x`, never narrower than it can show; None for no values."""
    from scipy.stats import gaussian_kde  # most of a second, for which no other figure should wait

    if not len(values):
        return None
    narrowest = NARROWEST * float(x[-1] - x[0])
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    width = max(0.8 * len(values) ** -0.2 * spread, narrowest)
    if spread > 1e-9 * max(float(np.abs(values).max()), narrowest):
        return np.asarray(gaussian_kde(values, bw_method=width / spread)(x))
    kernel = np.exp(-0.5 * ((x - values.mean()) / width) ** 2)
    return kernel / (width * np.sqrt(2 * np.pi))
