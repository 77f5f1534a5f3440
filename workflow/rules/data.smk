# Create the sets of images. The original data sets are verified by checksums. The built-in images for ImageNet are drawn
# in batches of ten classes, so that only the required batches are drawn. `update` keeps files supplied by the user.


rule data_mnist:
    output:
        files=update(IMAGES.files("mnist", data=Path(DATA))),
    log:
        f"{DATA}/mnist.log",
    threads: 1
    resources:
        mem_mb=2000,
        command=data_command("mnist"),
    message:
        f"data {IMAGES.source_of('mnist')} mnist"
    shell:
        "{resources.command} --output {output.files[0]:q} 2>&1 | tee {log:q}"


use rule data_mnist as data_cifar100 with:
    output:
        files=update(IMAGES.files("cifar-100", data=Path(DATA))),
    log:
        f"{DATA}/cifar-100.log",
    resources:
        mem_mb=2000,
        command=data_command("cifar-100"),
    message:
        f"data {IMAGES.source_of('cifar-100')} cifar-100"


if IMAGES.source_of("imagenet") == "glyphs":

    use rule data_mnist as data_imagenet with:
        output:
            files=update(
                [
                    f"{IMAGES.folder('imagenet', Path(DATA))}/classes/{{tens}}{last}.npy"
                    for last in range(10)
                ]
            ),
        log:
            f"{DATA}/imagenet/{{tens}}0-{{tens}}9.log",
        wildcard_constraints:
            tens="|[1-9][0-9]?",
        resources:
            mem_mb=2000,
            command=lambda wildcards: data_command(
                "imagenet", f"{wildcards.tens}0-{wildcards.tens}9"
            ),
        message:
            "data glyphs imagenet {wildcards.tens}0-{wildcards.tens}9"

else:

    use rule data_mnist as data_imagenet with:
        output:
            files=update(IMAGES.files("imagenet", data=Path(DATA))),
        log:
            f"{DATA}/imagenet.log",
        resources:
            mem_mb=2000,
            command=data_command("imagenet"),
        message:
            "data original imagenet"
