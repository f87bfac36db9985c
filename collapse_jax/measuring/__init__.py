"""Measures of stored snapshots: train once, measure anything later."""

# Bytes of arrays that `measure` holds at a time, unless told otherwise.
MEMORY = 4e9
