"""From parameter files to figures: `snakemake figures/fig4a.pdf --cores 8` builds that one, `snakemake --cores 8` all."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


# On a cluster too these run where Snakemake does: seconds each.
localrules:
    all,
    collect,
    figure,
    claims_of_figure,
    claims,


rule all:
    default_target: True
    input:
        lambda wildcards: expand("figures/{figure}.pdf", figure=drawable_figures()),


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/report.smk"
