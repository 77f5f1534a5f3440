"""Draw a figure from its collected table: PDF, PNG and the plotted numbers."""

from pathlib import Path

from lop.data.sets import data_above
from lop.figures.collect import read_about_collected, read_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.runs.script import logged

with logged(snakemake.log[0]):
    figure = load_figure(snakemake.wildcards.figure, snakemake.params.scale)
    table = Path(snakemake.input.collected)
    images = Path()
    if snakemake.input.pictures:
        source, shown = snakemake.config["data"]["source"], [one.data for one in figure.pictures if one.data]
        images = data_above(Path(snakemake.input.pictures[0]), shown[0], source) / source
    runs = read_about_collected(table).get("runs", "")
    draw(read_collected(table), figure, Path(snakemake.output.pdf).parent, images, runs)
