"""Measures of stored snapshots: train once, measure anything later."""

MEMORY = 4e9  # bytes of arrays in use, unless the user says otherwise
