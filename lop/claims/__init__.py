"""What the paper says of its figures, tested on ours: config/claims.yaml -> verdicts."""
