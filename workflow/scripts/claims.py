"""Put the verdicts on the claims about all figures into one table."""

from pathlib import Path

from lop.claims.table import read, write
from lop.runs.script import logged

with logged(snakemake.log[0]):
    table = read([Path(file) for file in snakemake.input])
    write(table, Path(snakemake.output.csv), Path(snakemake.output.markdown))
    print(f"{len(table)} claims: figures/claims.md")
