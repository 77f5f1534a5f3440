"""Test the paper's claims on the collected tables of all figures with claims."""

from pathlib import Path

from lop.claims.table import joined, judged, write
from lop.figures.collect import read_collected
from lop.figures.registry import load_figure
from lop.runs.script import logged, selected

with logged(snakemake.log[0]):
    scale, conditions = selected(snakemake.resources.selection)
    tables = [
        judged(load_figure(name, scale), read_collected(Path(file)), conditions.images)
        for name, file in zip(snakemake.params.figures, snakemake.input, strict=True)
    ]
    write(joined(tables), Path(snakemake.output.csv), Path(snakemake.output.markdown))
    print(f"{sum(map(len, tables))} claims: figures/claims.md")
