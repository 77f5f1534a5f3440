"""Compiled learning from one example at a time, for the per-example experiments."""
