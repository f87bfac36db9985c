"""A sweep, or several side by side, as one HTML file: figures, tables, config, provenance, warnings."""

import os
from collections.abc import Mapping, Sequence

from etils import epath

from collapse_jax.errors import ConfigError
from collapse_jax.reporting.page import page
from collapse_jax.reporting.sweeps import load
from collapse_jax.system.files import make_folder, replacing, storing
from collapse_jax.system.paths import path_of

__all__ = ["report"]

ONE, SEVERAL = "report.html", "comparison.html"


def report(
    workdirs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    *,
    trust: bool = False,
) -> epath.Path:
    """Write what is known of a sweep into one HTML file that needs no other file, nor a network.

    Warnings come first (diverged, unfinished and censored runs, a coarse log schedule, few seeds, reference modes,
    values within their nulls), then time scales and last values, slopes, every figure that the results allow, all
    runs, the config and how to repeat it, versions, device, data and sizes, and what every variable is. Nothing in
    the workdirs is changed but this file, which appears whole or not at all; the same workdir gives the same file.
    Where scripts may run, figures show values under the pointer and leave lines out; elsewhere they are pictures.

    Example:
      >>> collapse_jax.report("runs/mnist_mlp")  # doctest: +SKIP
      >>> collapse_jax.report(["runs/adamw", "runs/sgd"], out="adamw_sgd.html")  # doctest: +SKIP

    Args:
      workdirs: directory of a sweep, finished or not, or several to compare side by side.
      out: the file, ending in .html; None: report.html in the workdir, comparison.html in the first of several.
      thresholds: levels of time scales in place of each sweep's own, such as {"rnc1": 0.02}.
      trust: run the files of a model or task of one's own that a workdir names, for the figure that needs them.

    Returns:
      The file.

    Raises:
      ConfigError: a workdir is named twice, `out` is no HTML file, or a level is not allowed.
      WorkdirError: a workdir does not exist, has no results, or holds damaged or foreign files.
      StoreError: the file cannot be written.
    """
    given = [workdirs] if isinstance(workdirs, str | os.PathLike) else workdirs
    sweeps = load(given, thresholds)
    path = _target(out) if out else sweeps[0].workdir / (ONE if len(sweeps) == 1 else SEVERAL)
    with storing(path):
        make_folder(path.parent)
    text = page(sweeps, trust)
    with storing(path), replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _target(out: str | os.PathLike[str]) -> epath.Path:
    path = path_of("--out", out)
    if path.is_dir():
        raise ConfigError("--out", os.fspath(path), "is a directory; name a file that ends in .html")
    if path.suffix.lower() not in (".html", ".htm"):
        # Results and manifests must never be overwritten by a slip.
        raise ConfigError("--out", os.fspath(path), "must end in .html")
    return path
