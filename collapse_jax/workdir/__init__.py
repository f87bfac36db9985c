"""What is on disk: the manifest, results, snapshots and checkpoints of a sweep."""

from collapse_jax.system.files import replacing
from collapse_jax.workdir.join_programs import one_program
from collapse_jax.workdir.lock import Lock, one_writer
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.record import (
    MANIFEST,
    describe,
    differing_fields,
    open_workdir,
    read_experiment,
    read_manifest,
    reading,
    refuse_other_data,
    refuse_other_sources,
    write_record,
)
from collapse_jax.workdir.results import RESULTS, grid_coordinates, label, name_axes, open_results
from collapse_jax.workdir.trees import TreeStore, from_flat
from collapse_jax.workdir.verify import verify_workdir

__all__ = [
    "MANIFEST",
    "RESULTS",
    "Lock",
    "TreeStore",
    "describe",
    "differing_fields",
    "from_flat",
    "grid_coordinates",
    "label",
    "name_axes",
    "one_program",
    "one_writer",
    "open_results",
    "open_workdir",
    "read_experiment",
    "read_manifest",
    "reading",
    "refuse_other_data",
    "refuse_other_sources",
    "replacing",
    "verify_workdir",
    "write_dataset",
    "write_record",
]
