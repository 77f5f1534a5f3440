"""Compiled engines: the arithmetic of `lop.algos` and `lop.nets` on a hot path, without Python in its loops."""
