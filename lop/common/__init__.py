"""Helpers for all packages: errors, files, locks, paths, and digests of source code."""
