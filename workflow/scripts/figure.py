"""Draw a figure from its collected table as PDF and PNG, and write the plotted numbers."""

from pathlib import Path

from lop.common.errors import InputError
from lop.data.sets import DATA
from lop.figures.collect import read_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import all_have_paper_parameters, collection_key, shown_runs, table_key
from lop.runs.published import table_at
from lop.runs.script import logged, selected

with logged(snakemake.log[0]):
    scale, conditions = selected(snakemake.resources.selection)
    figure, table = load_figure(snakemake.wildcards.figure, scale), Path(snakemake.input.collected)
    images, data = conditions.images, DATA
    if snakemake.input.pictures:
        shown = next(picture.data for picture in figure.pictures if picture.data)
        data = images.data_above(Path(snakemake.input.pictures[0]), shown)
    key, remark = table.stem, ""
    if shipped := table_at(table, scale):
        print(f"{figure.name}: published results of {shipped.made_by}")
        key = shipped.key
        if key != table_key(figure, shown_runs(figure, conditions)):
            remark = f"results of {shipped.version}"
        if shipped.collected != collection_key(figure):
            raise InputError(
                f"published: found draw, allowed: train: at {scale} scale, the metrics, steps or bins of {figure.name} "
                "have changed since it was published"
            )
    collected = read_collected(table)
    curves = {curve for panel in figure.curve_panels.values() for curve in panel.curves}
    if missing := curves - set(collected["curve"]):
        print(f"{figure.name}: drawn without {', '.join(sorted(missing))}, for which the table has no values")
    of_paper = not remark and all_have_paper_parameters(figure, images)
    folder = Path(snakemake.output.pdf).parent
    draw(collected, figure, folder, images, data, key, of_paper, remark)
