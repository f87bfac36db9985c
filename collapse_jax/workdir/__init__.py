"""What is on disk: a tree of directories with records, results, measures, snapshots and checkpoints."""

from collapse_jax.workdir.results import merge, open_results

__all__ = ["merge", "open_results"]
