"""Proximal policy optimisation: agent, learner, buffer and settings."""
