"""Figures drawn from the metrics of runs: `registry`, `collect`, `statistics`, `plotting`, `draw`."""
