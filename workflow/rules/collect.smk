# Collect the runs of a figure and its files of results into one table of bin means. The file name is a digest of the runs,
# of the contents of the files, and of how they are collected. `update` keeps Snakemake from deleting the table before the
# job, which another Snakemake may have just written.


rule collect:
    input:
        collected_files,
    output:
        update(f"{RESULTS}/tables/{{figure}}/{{key}}.parquet"),
    log:
        f"{RESULTS}/tables/{{figure}}/{{key}}.log",
    wildcard_constraints:
        figure="|".join(COLLECTED),
        key="[0-9a-f]{16}",
    resources:
        selection=shlex.join(SELECTION),
    params:
        code=sources.digest("lop.figures.collect"),
    message:
        f"collect {{wildcards.figure}} at {SCALE} scale"
    script:
        "../scripts/collect.py"
