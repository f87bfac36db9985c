"""Planning a sweep for hardware that is not at hand."""

from collapse_jax.planning.report import plan

__all__ = ["plan"]
