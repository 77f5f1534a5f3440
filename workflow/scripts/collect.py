"""Collect what a figure shows of its runs into one table, and refuse runs that are not those that are wanted."""

from functools import partial
from pathlib import Path

from lop.common.paths import above
from lop.data.sets import Images
from lop.figures.collect import as_configured, collect, digest_of_runs, keys_of_runs, write_collected
from lop.figures.registry import load_figure
from lop.runs.script import logged

with logged(snakemake.log[0]):
    images = Images(snakemake.config["data"]["source"], int(snakemake.config["data"]["seed"]))
    figure = load_figure(snakemake.wildcards.figure, snakemake.wildcards.scale)
    output = Path(snakemake.output[0])
    results = above(output, Path(snakemake.wildcards.scale, "collected", output.name))
    table = collect(figure, results, expected=partial(as_configured, images=images))
    runs = digest_of_runs(keys_of_runs(figure, results))
    write_collected(table, output, figure.collected_from() | {"runs": runs})
