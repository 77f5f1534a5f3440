# The images that problems learn from, in data/. Built-in ones are stale when their seed or the code that draws them
# changes. Originals are not: checksums hold them; resources say from where, and make nothing stale. (Runs do not take them
# as `ancient`: Snakemake would forget to look whether a run's params have changed as well.)
# The built-in ImageNet comes in tens of classes, so that only those are made that a run needs.


rule data_mnist:
    output:
        files=expand(
            f"{DATA}/{{{{source}}}}/mnist/{{file}}", file=sets.FIXED_FILES["mnist"]
        ),
    log:
        f"{DATA}/{{source}}/mnist.log",
    wildcard_constraints:
        source="|".join(sets.SOURCES),
    conda:
        "../../envs/lop.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        python=sys.executable,
        seed=str(config["data"]["seed"]),
        folder=lambda wildcards: data_folder(wildcards.source),
    params:
        name="mnist",
        source=lambda wildcards: wildcards.source,
        classes="0-999",
        made_of=lambda wildcards: data_identity("mnist", wildcards.source),
    message:
        "data {params.source} {params.name}"
    shell:
        "{resources.python:q} -m lop.data {params.name} --source {params.source} --seed {resources.seed}"
        " --classes {params.classes} --folder={resources.folder:q} --output {output.files[0]:q} 2>&1 | tee {log:q}"


use rule data_mnist as data_cifar100 with:
    output:
        files=expand(
            f"{DATA}/{{{{source}}}}/cifar-100/{{file}}",
            file=sets.FIXED_FILES["cifar-100"],
        ),
    log:
        f"{DATA}/{{source}}/cifar-100.log",
    params:
        name="cifar-100",
        source=lambda wildcards: wildcards.source,
        classes="0-999",
        made_of=lambda wildcards: data_identity("cifar-100", wildcards.source),


use rule data_mnist as data_imagenet_glyphs with:
    output:
        files=[
            f"{DATA}/{{source}}/imagenet/classes/{{tens}}{last}.npy"
            for last in range(10)
        ],
    log:
        f"{DATA}/{{source}}/imagenet/{{tens}}0-{{tens}}9.log",
    wildcard_constraints:
        source="glyphs",
        tens="|[1-9][0-9]?",
    params:
        name="imagenet",
        source="glyphs",
        classes=lambda wildcards: f"{wildcards.tens}0-{wildcards.tens}9",
        made_of=lambda wildcards: data_identity("imagenet", wildcards.source),
    message:
        "data {params.source} {params.name} {params.classes}"


# Names without wildcards, which Snakemake finds at once: a thousand patterns would be tried with each file that any rule needs.
use rule data_mnist as data_imagenet_original with:
    output:
        files=[
            f"{DATA}/original/imagenet/classes/{number}.npy"
            for number in range(sets.CLASSES)
        ],
    log:
        f"{DATA}/original/imagenet.log",
    resources:
        mem_mb=2000,
        python=sys.executable,
        seed=str(config["data"]["seed"]),
        folder=data_folder("original"),
    params:
        name="imagenet",
        source="original",
        classes="0-999",
        made_of=lambda wildcards: data_identity("imagenet", "original"),
