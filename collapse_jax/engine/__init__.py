"""Trains grids: packing, compiled programs, the loop over steps."""
