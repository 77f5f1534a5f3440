"""Put a figure and all that it was made of into one zip, an RO-Crate."""

from pathlib import Path

from lop.data.sets import Images
from lop.report.crate import write_crate
from lop.runs.script import logged

with logged(snakemake.log[0]):
    images = Images(snakemake.config["data"]["source"], int(snakemake.config["data"]["seed"]))
    figures, results = Path(snakemake.input.pdf).parent, Path(snakemake.config["results"])
    write_crate(snakemake.wildcards.figure, snakemake.params.scale, results, figures, images, Path(snakemake.output[0]))
