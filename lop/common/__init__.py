"""Helpers that every layer may use: errors, files, locks, paths, source digests. Nothing here imports the rest of lop."""
