"""From runs' metrics to figures, one way: `registry`, `collect`, `statistics`, `plotting`, `draw`."""
