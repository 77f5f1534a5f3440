"""Runs of all problems: parameters, identity, checkpoints, metrics and progress."""
