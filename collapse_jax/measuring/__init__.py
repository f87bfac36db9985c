"""Measures of stored snapshots: train once, measure anything later."""
