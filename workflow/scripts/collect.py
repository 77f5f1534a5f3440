"""Collect the runs of a figure into one table."""

from pathlib import Path

from lop.common.paths import above
from lop.figures.collect import collect, write_collected
from lop.figures.runs import shown_runs, table_path
from lop.figures.sweeps import load_collected
from lop.runs.script import logged, selected

with logged(snakemake.log[0]):
    scale, conditions = selected(snakemake.resources.selection)
    figure, output = load_collected(snakemake.wildcards.figure, scale), Path(snakemake.output[0])
    runs = shown_runs(figure, conditions)
    write_collected(collect(figure, runs, above(output, table_path(figure, runs))), output)
