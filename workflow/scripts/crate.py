"""Pack a figure and everything it was made from into one archive, an RO-Crate."""

from pathlib import Path

from lop.common.paths import above
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.report.crate import write_crate
from lop.runs.published import PUBLISHED, RUNS
from lop.runs.script import logged, selected

with logged(snakemake.log[0]):
    scale, conditions = selected(snakemake.resources.selection)
    name, table = snakemake.wildcards.figure, Path(snakemake.input.collected)
    figure = load_figure(name, scale)
    published = table.is_relative_to(PUBLISHED)
    results = RUNS if published else above(table, table_path(figure, shown_runs(figure, conditions)))
    write_crate(name, scale, results, table, Path(snakemake.input.pdf).parent, conditions, Path(snakemake.output[0]))
