"""Sweeps of late-phase training dynamics: train a grid as one program, measure it, draw it.

The names below are imported on first use, so that `import collapse_jax` starts neither jax nor matplotlib.
"""

from typing import TYPE_CHECKING

from collapse_jax.system.lazy import importer

if TYPE_CHECKING:
    from collapse_jax.analysis import slopes, timescales
    from collapse_jax.engine.train import train
    from collapse_jax.experiment.config import Experiment
    from collapse_jax.experiment.load import load_config
    from collapse_jax.figures import figure, plot
    from collapse_jax.measures import measure_arrays
    from collapse_jax.measuring.run import measure
    from collapse_jax.measuring.snapshots import open_snapshots
    from collapse_jax.publishing.folder import publish
    from collapse_jax.reporting import report
    from collapse_jax.system.version import __version__
    from collapse_jax.workdir.results import open_results
    from collapse_jax.workdir.status import status

_HOMES = {
    "Experiment": "collapse_jax.experiment.config",
    "__version__": "collapse_jax.system.version",
    "figure": "collapse_jax.figures",
    "load_config": "collapse_jax.experiment.load",
    "measure": "collapse_jax.measuring.run",
    "measure_arrays": "collapse_jax.measures",
    "open_results": "collapse_jax.workdir",
    "open_snapshots": "collapse_jax.measuring.snapshots",
    "plot": "collapse_jax.figures",
    "publish": "collapse_jax.publishing.folder",
    "report": "collapse_jax.reporting",
    "slopes": "collapse_jax.analysis",
    "status": "collapse_jax.workdir.status",
    "timescales": "collapse_jax.analysis",
    "train": "collapse_jax.engine.train",
}

__all__ = [
    "Experiment",
    "__version__",
    "figure",
    "load_config",
    "measure",
    "measure_arrays",
    "open_results",
    "open_snapshots",
    "plot",
    "publish",
    "report",
    "slopes",
    "status",
    "timescales",
    "train",
]

__getattr__ = importer(__name__, _HOMES)
