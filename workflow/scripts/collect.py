"""Collect what a figure shows of its runs into one table."""

from pathlib import Path

from lop.figures.collect import collect, write_collected
from lop.figures.registry import RunFile, load_figure
from lop.runs.script import logged
from lop.runs.spec import PROBLEMS, resolve


def wanted(run: RunFile) -> dict:
    """What the run's own metadata has to say: results may have been copied from elsewhere."""
    spec = resolve(PROBLEMS[run.problem], run.config, run.seed, run.scale, run.setting)
    return {"parameters": spec.parameters.identity()}


with logged(snakemake.log[0]):
    figure = load_figure(snakemake.wildcards.figure, snakemake.wildcards.scale)
    table = collect(figure, Path(snakemake.config["results"]), expected=wanted)
    write_collected(table, Path(snakemake.output[0]), figure.collected_from())
