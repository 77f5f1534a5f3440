"""Self-contained HTML page with the figures, claims, costs and the provenance of every run."""
