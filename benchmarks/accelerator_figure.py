"""Writes what `benchmarks.accelerator` measured as JSON and draws it.

Command: python -m benchmarks.accelerator_figure
"""

import json
import pathlib
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from benchmarks import machine
from collapse_jax.figures.style import GREY, heading, new_figure, styled

OURS, TF32, THREE, THEIRS = "#0072b2", "#56b4e9", "#009e73", "#d55e00"
NAMES = {
    "eager": "PyTorch, one run at a time",
    "compiled": "one at a time, torch.compile",
    "graphed": "one at a time, CUDA graph",
    "ensemble": "PyTorch ensemble (torch.func)",
    "ensemble_graphed": "ensemble, CUDA graph",
    "ensemble_compiled": "ensemble, torch.compile, CUDA graph",
}


def read(folder: str) -> dict[str, Any]:
    """Return what is in accelerator.json, {} where it is not there."""
    path = pathlib.Path(folder) / "accelerator.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(found: dict[str, Any], folder: str) -> None:
    """Write accelerator.json and accelerator.png."""
    content = found | {"machine": machine.describe(), "command": "python -m benchmarks.accelerator"}
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "accelerator.json").write_text(json.dumps(content, indent=1) + "\n")
    if "runs" in content and "pytorch" in content:
        draw(content).savefig(path / "accelerator.png", dpi=150)


@styled
def draw(found: dict[str, Any]) -> Figure:
    """Return the figure: throughput against runs, and every way for the smaller compared number of runs."""
    figure = new_figure(11.5, 4.6)
    left, right = figure.subplots(1, 2)
    _throughput(left, found)
    _ways(right, found)
    packages = found["machine"]["packages"]
    heading(
        figure,
        "The main network on one accelerator: MLP 784-200-200-200-10, batch 100, AdamW",
        f"{found['device']}; jax {packages['jax']}, PyTorch {packages['torch']}; "
        f"commit {found['machine']['commit']}. Floor: parameters and moments read and written, "
        f"batch read, at the bandwidth of a copy.\n{found.get('note', '')}",
    )
    return figure


def _throughput(axes: Axes, found: dict[str, Any]) -> None:
    series = (
        ("runs", "collapse_jax, float32", OURS, "o-"),
        ("tf32x3", "collapse_jax, three TF32 products", THREE, "D:"),
        ("tf32", "collapse_jax, TF32 products", TF32, "s--"),
    )
    for name, label, colour, marker in series:
        if rows := _measured(found.get(name, [])):
            axes.plot(
                _column(rows, "runs"), _column(rows, "run_steps_per_second"), marker, color=colour, label=label
            )
    ensembles = [row for row in _measured(found["pytorch"]) if row["way"].startswith("ensemble")]
    axes.plot(
        _column(ensembles, "runs"),
        _column(ensembles, "run_steps_per_second"),
        "^",
        color=THEIRS,
        label="PyTorch ensembles, float32",
    )
    floor = found["ceilings"]["copy_bytes_per_second"] / found["floor_bytes"]
    axes.axhline(floor, color=GREY, linestyle="--")
    axes.annotate("memory floor", (1, floor), (0, -4), "data", "offset points", color=GREY, va="top")
    axes.set(title="Throughput against runs", xlabel="runs in the grid", ylabel="run-steps per second")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.legend(loc="lower right")
    axes.set_ylim(1e3, 1.4 * floor)


def _ways(axes: Axes, found: dict[str, Any]) -> None:
    ensembles = [row["runs"] for row in found["pytorch"] if row["way"].startswith("ensemble")]
    runs = min(ensembles, default=found["runs"][0]["runs"])
    rates = {NAMES[row["way"]]: row for row in _measured(found["pytorch"]) if row["runs"] in (1, runs)}
    precisions = {
        "collapse_jax": ("runs", OURS),
        "collapse_jax, three TF32 products": ("tf32x3", THREE),
        "collapse_jax, TF32 products": ("tf32", TF32),
    }
    ours = {
        label: row
        for label, (name, _) in precisions.items()
        for row in _measured(found.get(name, []))
        if row["runs"] == runs
    }
    bars = ours | rates
    axes.barh(
        list(bars),
        [row["run_steps_per_second"] for row in bars.values()],
        color=[*(precisions[label][1] for label in ours), *[THEIRS] * len(rates)],
    )
    for position, row in enumerate(bars.values()):
        text = f" {row['run_steps_per_second']:,.0f}"
        axes.annotate(text, (row["run_steps_per_second"], position), va="center")
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xlim(0, 1.25 * max(row["run_steps_per_second"] for row in bars.values()))
    axes.set(title=f"{runs} runs, PyTorch in float32", xlabel="run-steps per second")


def _measured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if "run_steps_per_second" in row]


def _column(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows]


if __name__ == "__main__":
    draw(json.loads((machine.RESULTS / "accelerator.json").read_text())).savefig(
        machine.RESULTS / "accelerator.png", dpi=150
    )
