"""Helpers that every layer may use: errors, files, locks, paths, digests of source code."""
