"""Draws what `benchmarks.scaling` measured.

Command: python -m benchmarks.scaling_figure
"""

import json
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks import machine
from collapse_jax.figures.style import GREY, heading, new_figure, styled

MEASURED, OTHER = "#0072b2", "#d55e00"
TITLES = {
    "runs": ("Throughput against runs", "runs in the grid"),
    "width": ("Throughput against width", "width of the three hidden layers"),
    "train_size": ("Throughput against training examples", "training examples"),
    "devices": ("Throughput against cores", "cores, one host device each"),
}


@styled
def draw(found: dict[str, Any], where: dict[str, Any]) -> Figure:
    """Return the figure of six panels."""
    figure = new_figure(11.5, 6.6)
    panels = figure.subplots(2, 3)
    for axes, axis in zip((panels[0, 0], panels[0, 1], panels[1, 0], panels[1, 1]), TITLES, strict=True):
        _throughput(axes, axis, found[axis])
    _share_of_peak(panels[0, 2], found["width"])
    _memory(panels[1, 2], found["memory"])
    heading(
        figure,
        "Scaling of a sweep: MLP 784-200-200-200-10, batch 100, AdamW, float32",
        f"{where['cores']} cores, {where['processor']}; jax {where['packages']['jax']}; commit {where['commit']}. "
        "Points: median of interleaved rounds;\nbars: slowest and fastest round. Predicted memory: parameters, "
        "two moments and one gradient of every run. Whole sweep: with measures, snapshots and checkpoints.",
    )
    return figure


def _throughput(axes: Axes, axis: str, rows: list[dict[str, float]]) -> None:
    title, label = TITLES[axis]
    x = [row[axis] for row in rows]
    rates = np.array([row["run_steps_per_second"] for row in rows])
    errors = [rates - [row["slowest"] for row in rows], [row["fastest"] for row in rows] - rates]
    axes.errorbar(x, rates, np.maximum(errors, 0), color=MEASURED, marker="o", markersize=5, capsize=3)
    axes.set(title=title, xlabel=label, ylabel="run-steps per second")
    if axis == "devices":
        axes.plot(x, rates[0] * np.array(x), color=GREY, linestyle="--", label="proportional to cores")
        axes.legend(loc="upper left")
        axes.set_xlim(0.7, max(x) + 0.3)
    else:
        axes.set_xscale("log")
    _plain_ticks(axes, x)
    if axis == "width":
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])


def _share_of_peak(axes: Axes, rows: list[dict[str, float]]) -> None:
    widths = [row["width"] for row in rows]
    axes.plot(widths, [100 * row["share_of_peak"] for row in rows], color=MEASURED, marker="o", markersize=5)
    axes.axhline(100, color=GREY, linestyle="--")
    axes.annotate(
        "1024 x 1024 matrix product", (widths[-1], 100), (0, -4), "data", "offset points", va="top", ha="right"
    )
    axes.set(title="Share of the matmul peak", xlabel=TITLES["width"][1], ylabel="% of both cores' peak")
    axes.set_xscale("log")
    axes.set_ylim(0, 110)
    _plain_ticks(axes, widths)


def _memory(axes: Axes, memory: dict[str, Any]) -> None:
    runs = np.array([row["runs"] for row in memory["rows"]])
    predicted = memory["predicted_bytes_per_run"]
    series = (("whole_sweep", "whole sweep", OTHER, "s"), ("training", "training alone", MEASURED, "o"))
    for name, label, colour, marker in series:
        gigabytes = np.array([row[name] for row in memory["rows"]]) / 1e9
        slope = memory["bytes_per_run"][name] / 1e6
        axes.plot(runs, gigabytes, color=colour, marker=marker, label=f"{label}: {slope:.1f} MB per run")
        if name == "training":
            line = gigabytes[0] + (runs - runs[0]) * predicted / 1e9
            text = f"predicted for training: {predicted / 1e6:.1f} MB per run"
            axes.plot(runs, line, color=GREY, linestyle="--", label=text)
    axes.set(title="Peak memory against runs", xlabel="runs in the grid", ylabel="peak resident memory (GB)")
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])
    axes.legend(loc="upper left")
    axes.set_xticks(runs)


def _plain_ticks(axes: Axes, values: list) -> None:
    axes.set_xticks(values)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


if __name__ == "__main__":
    content = json.loads((machine.RESULTS / "scaling.json").read_text())
    draw(content, content["machine"]).savefig(machine.RESULTS / "scaling.png", dpi=150)
