"""Tests of the paper's claims on our figures: config/claims.yaml -> verdicts."""
