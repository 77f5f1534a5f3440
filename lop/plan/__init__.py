"""Estimates before anything starts: which runs are missing, why, and how long they take."""
