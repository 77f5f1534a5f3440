# What a figure shows of its runs, in one table: bin means of one metric.

import json

from lop.common import sources


rule collect:
    input:
        collected_files,
    output:
        f"{RESULTS}/{{scale}}/collected/{{figure}}.parquet",
    log:
        f"{RESULTS}/{{scale}}/collected/{{figure}}.log",
    conda:
        "../../envs/lop.yaml"
    params:
        what=lambda wildcards: json.dumps(
            figure_at(wildcards.figure, wildcards.scale).collected_from(),
            sort_keys=True,
        ),
        code=lambda wildcards: sources.digest("lop.figures.collect"),
    message:
        "collect {wildcards.figure} at {wildcards.scale} scale"
    script:
        "../scripts/collect.py"
