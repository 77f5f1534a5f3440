"""Put a figure and all that it was made of into one zip, an RO-Crate."""

from pathlib import Path

from lop.common.paths import above
from lop.data.sets import Images
from lop.report.crate import write_crate
from lop.runs.script import logged

with logged(snakemake.log[0]):
    images = Images(snakemake.config["data"]["source"], int(snakemake.config["data"]["seed"]))
    scale, figures, table = snakemake.params.scale, Path(snakemake.input.pdf).parent, Path(snakemake.input.collected)
    results = above(table, Path(scale, "collected", table.name))
    write_crate(snakemake.wildcards.figure, scale, results, figures, images, Path(snakemake.output[0]))
