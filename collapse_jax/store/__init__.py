"""What is on disk: the manifest, results, snapshots and checkpoints of a sweep."""

from collapse_jax.store.files import replacing
from collapse_jax.store.join_programs import one_program
from collapse_jax.store.lock import Lock, one_writer
from collapse_jax.store.netcdf import write_dataset
from collapse_jax.store.results import (
    RESULTS,
    grid_coordinates,
    label,
    name_axes,
    open_results,
    thresholds_of,
)
from collapse_jax.store.trees import TreeStore, from_flat
from collapse_jax.store.verify import verify_workdir
from collapse_jax.store.workdir import (
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
    "thresholds_of",
    "verify_workdir",
    "write_dataset",
    "write_record",
]
