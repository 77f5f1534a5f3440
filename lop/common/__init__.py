"""Helpers for all layers: errors, files, locks, paths, digests of source code."""
