"""What is on disk: the manifest, results, snapshots and checkpoints of a sweep."""

from collapse_jax.store.lock import Lock, one_writer
from collapse_jax.store.results import RESULTS, label, open_results, thresholds_of, write_results
from collapse_jax.store.trees import TreeStore, from_flat
from collapse_jax.store.verify import verify_workdir
from collapse_jax.store.workdir import open_workdir, read_experiment, read_manifest

__all__ = [
    "RESULTS",
    "Lock",
    "TreeStore",
    "from_flat",
    "label",
    "one_writer",
    "open_results",
    "open_workdir",
    "read_experiment",
    "read_manifest",
    "thresholds_of",
    "verify_workdir",
    "write_results",
]
