"""Accuracy, within-class variance and class-mean condition number against the step."""

from typing import Any

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.plots import series as lines
from collapse_jax.plots import style


@style.styled
def phases(results: xr.Dataset, thresholds: Thresholds | None = None) -> Figure:
    """Do generalisation and collapse happen together, long after fitting?

    Panels over the log step, one colour per weight decay: accuracy (test solid, train dashed), RNC1, and
    the condition number of the class means, as far as the results hold them. `thresholds` is not used.
    Source: arXiv 2509.20829, Figure 3.
    """
    accuracy = [v for v in ("train_accuracy", "test_accuracy") if v in results]
    logged = [v for v in ("rnc1", "nc2_condition") if v in results]
    if not accuracy and not logged:
        raise style.NotDrawableError("none of train_accuracy, test_accuracy, rnc1, nc2_condition is in the results")
    groups = lines.split(results)
    names = (["accuracy"] if accuracy else []) + logged
    figure = style.new_figure(1.2 + 3.6 * len(names), 3.9)
    panels = list(figure.subplots(1, len(names), squeeze=False)[0])
    titles = {
        "accuracy": "Accuracy: training set, then test set",
        "rnc1": "Within-class variance: collapse to 0",
        "nc2_condition": "Class means: orthogonal at 1",
    }
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(titles[name])
        if name == "accuracy":
            for group in groups:
                if "train_accuracy" in accuracy:
                    lines.draw(axes, group, "train_accuracy", linestyle="--", alpha=0.55)
                if "test_accuracy" in accuracy:
                    lines.draw(axes, group, "test_accuracy")
            axes.set_ylim(-0.02, 1.03)
            axes.set_ylabel("accuracy")
            looks: dict[str, dict[str, Any]] = {
                "test_accuracy": {"linestyle": "-", "label": "test"},
                "train_accuracy": {"linestyle": "--", "label": "train", "alpha": 0.55},
            }
            handles = [Line2D([], [], color="#333333", **looks[v]) for v in looks if v in accuracy]
            axes.legend(handles=handles, loc="upper left", handlelength=2.6)
        else:
            for group in groups:
                lines.draw(axes, group, name, log=True)
            if name == "nc2_condition":
                axes.set_yscale("log")
                axes.set_ylim(bottom=0.94)
                axes.axhline(1.0, color=style.GREY, linewidth=0.9, linestyle=":")
            style.log_values(axes)
            axes.set_ylabel(style.label(results, name))
        style.step_axis(axes, results["step"].values)
    lines.legend(figure, panels, groups)
    style.heading(figure, "Phases of training", lines.reading_note(results, groups))
    return figure
