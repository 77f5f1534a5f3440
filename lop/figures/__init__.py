"""From runs' metrics to figures: `registry` says what, `collect` reads, `statistics` computes, `plotting` draws."""
