"""Test the paper's claims about a figure on its collected table."""

from pathlib import Path

from lop.claims.table import judged, write
from lop.data.sets import Images
from lop.figures.collect import read_collected
from lop.figures.registry import load_figure
from lop.runs.script import logged

with logged(snakemake.log[0]):
    images = Images(snakemake.config["data"]["source"], int(snakemake.config["data"]["seed"]))
    figure = load_figure(snakemake.wildcards.figure, snakemake.wildcards.scale)
    write(judged(figure, read_collected(Path(snakemake.input[0])), images), Path(snakemake.output[0]))
