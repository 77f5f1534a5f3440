"""Choose the best settings of all sweeps of a scale, and write their scores, plots and the chosen values."""

from pathlib import Path

from lop.figures.sweeps import tune
from lop.runs.script import logged

with logged(snakemake.log[0]):
    tables = dict(zip(snakemake.params.names, map(Path, snakemake.input), strict=True))
    folder, tuned = Path("tuning") / snakemake.params.scale, Path(snakemake.output.tuned)
    print("\n".join(tune(tables, snakemake.params.scale, folder, tuned)))
