"""What is on disk: the manifest, results, snapshots and checkpoints of a sweep."""

from collapse_jax.store.results import RESULTS, label, open_results, thresholds_of, write_results
from collapse_jax.store.trees import TreeStore, from_flat
from collapse_jax.store.workdir import open_workdir, read_experiment, read_manifest

__all__ = [
    "RESULTS",
    "TreeStore",
    "from_flat",
    "label",
    "open_results",
    "open_workdir",
    "read_experiment",
    "read_manifest",
    "thresholds_of",
    "write_results",
]
