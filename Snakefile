"""From parameter files to figures: `snakemake figures/fig4a.pdf --cores 8` builds that one, `snakemake --cores 8` all."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


# To start no more than 100 jobs a second, Snakemake looks through all jobs to come once more in every second for each job
# that has ended: after some hundreds it does little else. What `--max-jobs-per-timespan` asks for stays.
onstart:
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


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
