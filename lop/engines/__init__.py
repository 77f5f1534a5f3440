"""Compiled engines: the hot paths of `lop.algos` and `lop.nets` without Python in their loops."""
