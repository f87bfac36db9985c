"""Where the numbers come from: versions, device, packing, data, size on disk, and what every variable is."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import humanize
import numpy as np
import xarray as xr

from collapse_jax.analysis.groups import at_the_end
from collapse_jax.reporting.sweeps import Sweep, sizes
from collapse_jax.reporting.tables import Table
from collapse_jax.workdir.results import ENDS
from collapse_jax.workdir.software import Origin, origins, version_of

Rows = dict[str, str]


def provenance(sweeps: Sequence[Sweep]) -> Table:
    """Build the part of versions, device and data."""
    columns = [_rows(sweep) for sweep in sweeps]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    header = ["what", *(sweep.name for sweep in sweeps)]
    return Table("Software, hardware, data, files", header, rows)


def _rows(sweep: Sweep) -> Rows:
    rows = {"workdir": str(sweep.workdir), "fingerprint": str(sweep.results.attrs.get("fingerprint", ""))}
    manifests = sweep.manifests
    for title, read in _MANIFEST.items():
        found = dict.fromkeys(text for manifest in manifests for text in read(manifest))
        if any(found):
            rows[title] = ", ".join(filter(None, found))
    packages = dict.fromkeys(
        name for manifest in manifests for origin in origins(manifest) for name in origin["versions"] or {}
    )
    rows |= {name: _listed(manifests, version_of(name)) for name in packages}
    rows |= {f"size of {part}": humanize.naturalsize(size) for part, size in sizes(sweep.workdir).items()}
    return rows


def _listed(manifests: Sequence[Mapping[str, Any]], read: Callable[[Origin], Any]) -> str:
    return ", ".join(dict.fromkeys(text for manifest in manifests for text in _since(manifest, read)))


def _packing(manifest: Mapping[str, Any]) -> list[str]:
    packing = manifest["packing"]
    layout = f"{packing['devices']} device(s), {packing['runs_per_tile']} per tile"
    return [f"{packing.get('runs', '?')} runs on {layout}"]


def _since(manifest: Mapping[str, Any], read: Callable[[Origin], Any]) -> list[str]:
    """List what held when a leaf was begun, and every change of it with its step."""
    said: list[str] = []
    last = None
    for origin in origins(manifest):
        value = read(origin)
        if value and value != last:
            said.append(f"{value} from step {origin['step']}" if said else str(value))
            last = value
    return said


def _device(manifest: Mapping[str, Any]) -> list[str]:
    return _since(manifest, lambda origin: f"{origin['device']}, {origin['machine'] or '?'}")


def _data(manifest: Mapping[str, Any]) -> list[str]:
    data = manifest.get("data") or {}
    shapes = data.get("shapes", {})
    return [f"{name} {shapes.get(name, '')}: {sha}" for name, sha in data.get("sha256", {}).items()]


def _sources(manifest: Mapping[str, Any]) -> list[str]:
    return [f"{field}: {sha}" for field, sha in (manifest.get("sources") or {}).items()]


_MANIFEST: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "device": _device,
    "packing": _packing,
    "git commit": lambda manifest: _since(manifest, lambda origin: origin["git_commit"]),
    "data (SHA-256)": _data,
    "own files (hash)": _sources,
}


def variables(sweeps: Sequence[Sweep]) -> list[tuple[str, Table]]:
    """Say what every variable is, where it comes from, and the range of its last values: headings and tables."""
    return [_variables(sweep, len(sweeps)) for sweep in sweeps]


def _variables(sweep: Sweep, count: int) -> tuple[str, Table]:
    rows = []
    for name, variable in sweep.results.data_vars.items():
        if name in ENDS:
            continue
        attrs = variable.attrs
        rows.append(
            [
                name,
                attrs.get("long_name", ""),
                attrs.get("units", ""),
                _last_range(sweep.results, str(name)),
                attrs.get("definition", ""),
                _origin(attrs),
            ]
        )
    title = "All variables" if count == 1 else f"All variables of {sweep.name}"
    header = ["variable", "name", "units", "last value, lowest to highest run", "definition", "measured"]
    return f"{title} ({len(rows)})", Table(title, header, rows)


def _last_range(results: xr.Dataset, name: str) -> str:
    ends = {each: results[each] for each in ENDS if each in results}
    known = results[[name]].assign(ends)
    known = known.dropna("step", how="all", subset=[name]) if "step" in results[name].dims else known
    values = at_the_end(known)[name].values if known.sizes.get("step") else np.array([])
    values = values[np.isfinite(values)]
    return f"{values.min():.4g} ... {values.max():.4g}" if values.size else "-"


def _origin(attrs: Mapping[str, Any]) -> str:
    record = json.loads(attrs.get("measured", "{}"))
    if not record:
        return "in-line"
    options = {name: value for name, value in record.get("options", {}).items() if value is not None}
    said = [f"{name}={value}" for name, value in options.items()]
    said += [f"test_size={record['test_size']}"] if record.get("test_size") else []
    return f"{record['measure']}: {', '.join(said)}" if said else str(record["measure"])
