"""Entry point: `snakemake figures/fig4a.pdf --cores 8` builds one figure, `snakemake --cores 8` builds all."""


include: "workflow/Snakefile"


rule default:  # an included file cannot set the default target
    default_target: True
    input:
        rules.all.input,
