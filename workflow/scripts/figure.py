"""Draw a figure from its collected table: PDF, PNG and the plotted numbers."""

from pathlib import Path

from lop.figures.collect import read_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.runs.script import logged

with logged(snakemake.log[0]):
    figure = load_figure(snakemake.wildcards.figure, snakemake.params.scale)
    collected = read_collected(Path(snakemake.input.collected))
    draw(collected, figure, Path(snakemake.output.pdf).parent, Path(snakemake.params.images))
