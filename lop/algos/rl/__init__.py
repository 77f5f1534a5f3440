"""Proximal policy optimisation and what it stores."""
