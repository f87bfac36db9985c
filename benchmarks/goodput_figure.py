"""Draws what `benchmarks.goodput` measured.

Command: python -m benchmarks.goodput_figure
"""

import json
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks import machine
from benchmarks.goodput_accounting import PARTS
from collapse_jax.figures.style import GREY, heading, new_figure, styled

COLOURS = {"kept": "#009e73", "lost": "#d55e00", "restore": "#e69f00", "start-up": GREY}
TEXTS = {
    "kept": "steps that count",
    "lost": "lost, trained again",
    "restore": "restore of the checkpoint",
    "start-up": "start-up: imports, data, programs",
}


@styled
def draw(found: dict[str, Any]) -> Figure:
    """Return the figure: for each life the share of its wall clock by cause."""
    rows = found["lives"]["wall"]
    total = np.array([sum(row[part] for part in PARTS) for row in rows])
    figure = new_figure(8.2, 4.4)
    axes = figure.subplots()
    bottom = np.zeros(len(rows))
    for part, colour in COLOURS.items():
        share = 100 * np.array([row[part] for row in rows]) / total
        axes.bar(range(len(rows)), share, bottom=bottom, color=colour, width=0.9, label=TEXTS[part])
        bottom += share
    core = [100 * sum(row[part] for part in PARTS) for row in found["lives"]["processor"]] / total
    axes.plot(
        range(len(rows)), core, color="black", marker="o", markersize=3, linewidth=1, label="share of the core"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="life: one process, killed at its end but for the last", ylabel="% of its time", ylim=(0, 100))
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.legend(loc="lower center", ncols=2)
    options, wall = found["options"], found["found"]["wall"]
    costs = wall["seconds_of_a_kill"]
    heading(
        figure,
        f"A sweep killed {found['kills']} times, every {options['every']:.0f} s: {wall['goodput']:.1%} of its time "
        "counts",
        f"On one core, which other jobs shared (black). A kill costs {costs['start-up']:.1f} s of start-up, "
        f"{costs['restore']:.1f} s of restore and\n{costs['lost']:.1f} s of lost steps on average, with a "
        f"checkpoint every {options['checkpoint_seconds']:.0f} s; at a kill every 10 minutes "
        f"{wall['goodput_at_a_kill_every_600_s']:.1%} would count.\n"
        f"{found['machine']['processor']}; commit {found['machine']['commit']}.",
    )
    return figure


if __name__ == "__main__":
    draw(json.loads((machine.RESULTS / "goodput.json").read_text())).savefig(
        machine.RESULTS / "goodput.png", dpi=150
    )
