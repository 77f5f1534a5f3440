"""Slowly-changing regression: the paper's smallest demonstration that plasticity is lost."""
