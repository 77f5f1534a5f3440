"""The two definitions of container images agree with each other and with the project."""

import re

from lop.common.paths import ROOT

DOCKERFILE, APPTAINER = (ROOT / "Dockerfile").read_text(), (ROOT / "envs/lop.def").read_text()
BASE = re.compile(r"^(?:FROM|From:) (\S+)$", re.MULTILINE)
PACKAGES = re.compile(r"apt-get install -y --no-install-recommends (.+?)(?: \\)?$", re.MULTILINE)


def test_both_images_have_the_same_base_packages_and_default_command():
    assert BASE.findall(DOCKERFILE) == BASE.findall(APPTAINER)
    assert PACKAGES.findall(DOCKERFILE) == PACKAGES.findall(APPTAINER)
    command = re.search(r"^CMD \[(.+)\]$", DOCKERFILE, re.MULTILINE)[1].replace('"', "").replace(",", "")
    assert f"set -- {command}\n" in APPTAINER


def test_the_files_of_the_apptainer_image_exist():
    names = re.findall(r"^    (\S+) /lop/$", APPTAINER, re.MULTILINE)
    assert {"lop", "workflow", "Snakefile", "requirements.lock"} <= set(names)
    assert all((ROOT / name).exists() for name in names)
