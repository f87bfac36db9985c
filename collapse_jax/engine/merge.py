"""Joins shards into one results file: the same labelled arrays as the sweep of the whole grid.

A sweep with one run per tile gives the same bits, however the grid was cut.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax import workdir as store
from collapse_jax.analysis.summary import reached_steps
from collapse_jax.engine.shards import FOLDER, Shard, read_sharded, shard_experiment
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.grid import number_of_runs
from collapse_jax.experiment.static_axes import has_programs, programs_of, read_programs


def merge(workdir: str | epath.Path, *, partial: bool = False) -> xr.Dataset:
    """Join the shards of a workdir and write `results.nc` there (and `measures/*.nc` where shards have them).

    Args:
      workdir: directory that holds the folders of the shards.
      partial: take what is there; runs that no shard has reached are nan, and `attrs["missing_shards"]` names
        the shards that were not finished.

    Returns:
      The results, as `open_results(workdir)` reads them.

    Raises:
      WorkdirError: a shard is missing or unfinished (unless `partial`), belongs to another experiment or split,
        or is damaged; the message names it.
    """
    workdir = epath.Path(workdir)
    if has_programs(workdir):
        programs = programs_of(read_programs(workdir))
        begun = [program for program in programs if program.folder(workdir).is_dir()]
        if len(begun) < len(programs) and not (partial and begun):
            absent = ", ".join(program.name for program in programs if program not in begun)
            advice = "train these, or merge what is there with --partial"
            raise WorkdirError(f"workdir={workdir}: not begun: program {absent}; {advice}")
        for program in begun:
            merge(program.folder(workdir), partial=partial)
        return store.open_results(workdir)
    experiment, count = read_sharded(workdir)
    _refuse_other_splits(workdir, count)
    total = number_of_runs(experiment.grid)
    parts: dict[Shard, xr.Dataset] = {}
    open_shards: dict[Shard, str] = {}
    records = {}
    for shard in (Shard(index, count) for index in range(min(count, total))):
        folder = shard.folder(workdir)
        if not (folder / store.MANIFEST).exists() or not (folder / store.RESULTS).exists():
            open_shards[shard] = "missing"
            continue
        records[shard] = _own_manifest(folder, experiment, shard)
        parts[shard] = store.open_results(folder / store.RESULTS)
        reached = reached_step(parts[shard])
        if reached != experiment.steps:
            open_shards[shard] = f"at step {reached} of {experiment.steps}"
    if open_shards and not (partial and parts):
        names = ", ".join(f"{shard} ({why})" for shard, why in open_shards.items())
        raise WorkdirError(
            f"workdir={workdir}: not finished: shard {names}; train these, or merge what is there with --partial"
        )
    joined = join(experiment.grid, parts)
    joined.attrs |= {
        "experiment": json.dumps(store.describe(experiment)),
        "fingerprint": identity.fingerprint(experiment),
        "packing": json.dumps([record["packing"] for record in records.values()]),
        "missing_shards": ", ".join(map(str, open_shards)),
    }
    store.write_dataset(joined, workdir / store.RESULTS)
    _merge_measures(workdir, experiment, list(parts), partial)
    return store.open_results(workdir)


def join(axes: config.Grid, parts: Mapping[Shard, xr.Dataset]) -> xr.Dataset:
    """Put the runs of zipped parts back to their places in the grid.

    Args:
      axes: the whole grid, of R runs.
      parts: shard -> dataset with the dimension `run`, in the order of `Shard.runs`.

    Returns:
      A dataset with the dimensions of the grid in place of `run`; floats of absent runs are nan, and their
      `diverged_at` is -1.
    """
    names, shape, coords = store.grid_coordinates(axes)
    total = int(np.prod(shape))
    placed = []
    for shard, part in parts.items():
        runs = np.array(shard.runs(total))
        placed.append(part.drop_vars([name for name in coords if name in part.coords]).assign_coords(run=runs))
    per_run = [name for name, variable in placed[0].data_vars.items() if "run" in variable.dims]
    joined = xr.concat(
        placed,
        "run",
        data_vars=per_run,
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="override",
    )
    joined = joined.reindex(run=np.arange(total), fill_value={"diverged_at": -1}).drop_vars("run")
    data = {}
    for name, variable in joined.data_vars.items():
        array, dims = variable.values, variable.dims
        if dims[:1] == ("run",):
            array, dims = array.reshape(*shape, *array.shape[1:]), (*names, *dims[1:])
        data[name] = (dims, array, variable.attrs)
    whole = xr.Dataset(data, {**coords, **joined.coords}, joined.attrs)
    store.name_axes(whole)
    return whole


def reached_step(results: xr.Dataset) -> int:
    """Return the last step that every run has logged; diverged runs count as logged. -1 for none."""
    healthy = results["diverged_at"] < 0
    return int(reached_steps(results).where(healthy, results["step"][-1]).min())


def _own_manifest(folder: epath.Path, experiment: config.Experiment, shard: Shard) -> dict:
    record = store.read_manifest(folder)
    expected = shard_experiment(experiment, shard)
    assert expected is not None
    differing = store.differing_fields(store.read_experiment(record), expected)
    if differing:
        raise WorkdirError(f"workdir={folder}: belongs to another experiment: {'; '.join(differing)}")
    return record


def _refuse_other_splits(workdir: epath.Path, count: int) -> None:
    others = sorted(
        path.name for path in workdir.iterdir() if (m := FOLDER.fullmatch(path.name)) and int(m[2]) != count
    )
    if others:
        raise WorkdirError(f"workdir={workdir}: split into {count} shards, but {others[0]} is of another split")


def _merge_measures(
    workdir: epath.Path, experiment: config.Experiment, shards: Sequence[Shard], partial: bool
) -> None:
    """Join what was measured later; a measure that a shard lacks is refused unless `partial`."""
    have = {
        shard: {path.name for path in (shard.folder(workdir) / "measures").glob("*.nc")}
        if (shard.folder(workdir) / "measures").exists()
        else set()
        for shard in shards
    }
    for name in sorted(set().union(*have.values())):
        lacking = [str(shard) for shard in shards if name not in have[shard]]
        if lacking and not partial:
            raise WorkdirError(f"workdir={workdir}: measures/{name} is missing in shard {', '.join(lacking)}")
        found = [shard for shard in shards if name in have[shard]]
        parts = {shard: store.open_results(shard.folder(workdir) / "measures" / name) for shard in found}
        asked = {part.attrs.get("measured"): shard for shard, part in parts.items()}
        if len(asked) > 1:
            differing = ", ".join(str(shard) for shard in asked.values())
            raise WorkdirError(f"workdir={workdir}: measures/{name} has other options in shards {differing}")
        whole = {
            "experiment": json.dumps(store.describe(experiment)),
            "fingerprint": identity.fingerprint(experiment),
        }
        (workdir / "measures").mkdir(exist_ok=True)
        joined = join(experiment.grid, parts).assign_attrs(whole)
        store.write_dataset(joined, workdir / "measures" / name)
