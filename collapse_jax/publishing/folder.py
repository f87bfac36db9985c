"""A sweep as a folder for a data hub: results, config, versions, card, figures, checksums."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any

import xarray as xr
from etils import epath

from collapse_jax.errors import WorkdirError, require, unknown
from collapse_jax.figures import FIGURES, figures
from collapse_jax.figures.style import save
from collapse_jax.publishing.card import card
from collapse_jax.reporting.configuration import config_file
from collapse_jax.reporting.sweeps import Sweep, load
from collapse_jax.system import runtime
from collapse_jax.system.checksums import SUMS, sums_of
from collapse_jax.system.files import make_folder
from collapse_jax.system.paths import local_path
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.record import read_experiment
from collapse_jax.workdir.results import RESULTS
from collapse_jax.workdir.software import origins

CARD, CONFIG, RECORD, PICTURES = "README.md", "config.py", "provenance.json", "figures"


def publish(
    workdir: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    names: Sequence[str] = (),
    licence: str = "apache-2.0",
    partial: bool = False,
) -> pathlib.Path:
    """Write what is known of a sweep into a new folder that can be uploaded as it is.

    results.nc        all that was measured, of all parts, in one file; `collapse_jax.open_results` reads the
                      folder, by its path or by an https URL
    config.py         for `train --config=config.py`
    provenance.json   experiment, fingerprint, and of each part: packing, versions, device, commit, sums of data
    figures/          PNG
    README.md         card: YAML for the hub, what must be known first, table, definitions and units, how to cite
    SHA256SUMS        `sha256sum -c SHA256SUMS`

    Of files outside the package that the experiment names only the last part of an absolute path is written.

    Args:
      workdir: directory of the sweep.
      to: a folder that does not exist, or is empty.
      names: figures of `FIGURES`; () stands for all that the results allow without snapshots.
      licence: of the results, as hubs name it.
      partial: also where runs have not come to their last step; the card says so.

    Returns:
      The folder; it appears whole or not at all.

    Raises:
      ConfigError: `to` is not empty, or there is no such figure.
      WorkdirError: there are no results, or runs are unfinished (unless `partial`).
    """
    runtime.start()
    target = local_path("to", to)
    require(not target.exists() or _is_empty(target), "to", str(to), "must not exist, or be an empty folder")
    identifier = re.fullmatch(r"[\w.+-]+", licence)
    require(identifier is not None, "license", licence, "must be an identifier, such as cc-by-4.0")
    for name in names:
        require(name in FIGURES, "figures", name, unknown("figure", name, FIGURES))
    sweep = load([workdir])[0]
    if sweep.unfinished and not partial:
        count = f"{len(sweep.unfinished)} of {sweep.runs} runs"
        raise WorkdirError(f"workdir={workdir}: {count} are unfinished; train on, or publish them with --partial")
    target = target.absolute()
    make_folder(target.parent)
    building = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _fill(building, sweep, names, licence)
        if target.exists():
            target.rmdir()
        os.replace(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _is_empty(path: pathlib.Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _fill(folder: pathlib.Path, sweep: Sweep, names: Sequence[str], licence: str) -> None:
    results = cleaned(sweep.results)
    sweep = dataclasses.replace(sweep, results=results)
    make_folder(folder)
    write_dataset(results, epath.Path(folder / RESULTS))
    record = provenance(sweep)
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    (folder / CONFIG).write_text(config_file(read_experiment(record)))
    drawn = []
    for name, figure in figures(results, sweep.thresholds, names=names):
        if not isinstance(figure, Exception):
            save(figure, epath.Path(folder / PICTURES / name), [".png"])
            drawn.append((f"{PICTURES}/{name}.png", name))
    (folder / CARD).write_text(card(sweep, record, drawn, licence), encoding="utf-8")
    (folder / SUMS).write_text(sums_of(folder))


def provenance(sweep: Sweep) -> dict[str, Any]:
    """Return what was trained, and of each part with what; without folders of the machine."""
    parts = [
        {
            "packing": manifest.get("packing"),
            "trained_by": [{k: v for k, v in origin.items() if k != "packing"} for origin in origins(manifest)],
            "data": manifest.get("data"),
            "sources": manifest.get("sources"),
        }
        for manifest in sweep.manifests
    ]
    experiment = json.loads(sweep.results.attrs["experiment"])
    whole = {"experiment": experiment, "fingerprint": sweep.results.attrs.get("fingerprint", ""), "parts": parts}
    cleaned_whole: dict[str, Any] = without_folders(whole)
    return cleaned_whole


def cleaned(results: xr.Dataset) -> xr.Dataset:
    """Return results whose attributes name files without the folders of the machine."""
    out = results.copy()
    out.attrs = _clean_attrs(results.attrs)
    for name in out.variables:
        out[name].attrs = _clean_attrs(results[name].attrs)
    return out


def _clean_attrs(attrs: dict[Any, Any]) -> dict[Any, Any]:
    return {name: _clean_text(value) if isinstance(value, str) else value for name, value in attrs.items()}


def _clean_text(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return str(without_folders(text))
    return json.dumps(without_folders(value)) if isinstance(value, dict | list) else text


def without_folders(value: Any) -> Any:
    """Return a value of JSON in which absolute paths, and those of a home directory, are their last part."""
    if isinstance(value, dict):
        return {name: without_folders(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    if isinstance(value, str) and re.match(r"(/|~|[A-Za-z]:[\\/]|file:)", value):
        return re.split(r"[\\/]", value.rstrip("/\\"))[-1]
    return value
