"""The commands in the documentation run as written, in a copy of the project.

Commands are the lines of code blocks without a language, and code within the text that begins with a program. In a
README of a problem, a command that names a script or a folder of that problem runs in its folder; all others run in the
project folder, whose path contains a space and an umlaut. Commands are changed only by `scaled` and by `places`, the
paths and keys that stand for the reader's own.
"""

import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from project import Project
from test_extending import add_methods

from lop.common.errors import EXIT_BAD_INPUT
from lop.common.paths import ROOT
from lop.runs.process import EXIT_INTERRUPTED

CONTENTS = ("yaml", "mermaid", "text")  # languages of blocks that show files and output
PROGRAM = re.compile(
    r"(\w+=\S+ )*(\.venv/bin/)?"
    r"(apptainer|apt-get|brew|cd|conda|docker|git|make|mkdir|pip|pre-commit|python(3\.11)?|rocrate-validator|rsync|snakemake|source|"
    r"sudo|tensorboard) "
)
INSTALLS, TESTS, MEASURES = "installs packages", "runs these tests or linters", "measures speed for minutes"
NOT_RUN = {
    "git clone <URL of this repository> lop && cd lop": "needs the address of the repository",
    "make legacy": INSTALLS,
    "make develop": INSTALLS,
    "pre-commit install": "installs a hook of git",
    "apt-get install libosmesa6": INSTALLS,
    "python3.11 -m venv .venv": INSTALLS,
    ".venv/bin/pip install -r requirements.lock": INSTALLS,
    ".venv/bin/pip install --no-deps --no-build-isolation -e .": INSTALLS,
    "pip install .": INSTALLS,
    "pip install -e '.[workflow]'": INSTALLS,
    "pip install -e '/path/to/lop[workflow]'": INSTALLS,
    "pip install snakemake-executor-plugin-slurm": INSTALLS,
    "pip install snakemake-storage-plugin-s3": INSTALLS,
    "source .venv/bin/activate": "changes the shell; the commands run in such an environment",
    "rocrate-validator validate --profile-identifier workflow-run-crate-0.5 figures/fig4a.crate.zip": (
        "downloads the RO-Crate context; in tests/report/test_crate.py"
    ),
    "docker build -t lop .": "needs Docker",
    'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/results:/lop/results" -v "$PWD/figures:/lop/figures" lop': (
        "needs Docker"
    ),
    "apptainer build lop.sif envs/lop.def": "needs Apptainer",
    "apptainer run --writable-tmpfs --bind results:/lop/results,figures:/lop/figures lop.sif": "needs Apptainer",
    "make audit": "compares with PyPI",
    "tensorboard --logdir results/tensorboard": "serves until it is stopped",
    "make test": TESTS,
    "make test-slow": TESTS,
    "make test-cluster": TESTS,
    "make torture": TESTS,
    "make coverage": TESTS,
    "HYPOTHESIS_PROFILE=thorough make test": TESTS,
    "make lint": TESTS,
    "make docs": "installs packages and executes the code of pages for minutes",
    "python -m pytest tests/algos": TESTS,
    "python benchmarks/cifar.py": MEASURES,
    "python benchmarks/glyphs.py": MEASURES,
    "python benchmarks/gpu.py": MEASURES,
    "python benchmarks/images.py": MEASURES,
    "python benchmarks/load.py": MEASURES,
    "python benchmarks/mnist.py": MEASURES,
    "python benchmarks/regression.py": MEASURES,
    "python benchmarks/rl.py --all": MEASURES,
    "snakemake ... --set-resources train_incremental_cifar:runtime=600": "has a placeholder",
    "make figures/<its name>.pdf": "has a placeholder",
    "make figures/fig4a.pdf SCALE=<its name>": "has a placeholder",
    "python -m lop...": "has a placeholder",
    "rsync -a cluster:lop/results/ results/": "needs another machine",
    "snakemake figures/fig4a.pdf --cores 8 --default-storage-provider s3 --default-storage-prefix s3://bucket/lop": (
        "needs a bucket; tests/workflow/test_storage.py uses another storage"
    ),
    "python -m lop.data imagenet": "draws 8.6 GB",
    "python -m lop.data cifar-100 --source original": "downloads 160 MB; tests/data uses a local server",
    "python -m lop.data mnist --source original --folder /path/to/images": "needs the original MNIST",
    "make figures/walk.pdf": "needs the problem of its page; in tests/workflow/test_extending.py",
}
PLANNED = {  # executed as dry runs
    "make figures/ed4a.pdf": "in tests/workflow/test_extending.py",
    "snakemake figures/ed4a.pdf --cores 2": "in tests/workflow/test_extending.py",
    "snakemake figures/ed2b.pdf --cores 2": "in tests/workflow/test_extending.py",
    "snakemake tune --cores 8": "in tests/workflow/test_extending.py",
    "snakemake figures/fig1.pdf --cores 8": "takes a minute",
    "snakemake figures/fig2.pdf --cores 8": "takes a minute",
    "make figures/fig4a.pdf SCALE=day PUBLISHED=train": "trains for hours if the published runs are outdated",
    "snakemake figures/ed4a.pdf --cores 8 --config 'data={source: original}'": "downloads MNIST",
    "snakemake figures/fig1.pdf --cores 8 --config scale=paper device=cuda": "needs a GPU",
    "snakemake figures/fig1.pdf --cores 16 --resources gpu_percent=100 --config scale=paper device=cuda": "needs a GPU",
    "snakemake --profile workflow/profiles/slurm figures/fig4a.pdf --config scale=paper": (
        "needs a cluster; in tests/workflow/test_slurm.py"
    ),
    "snakemake --profile workflow/profiles/slurm --default-resources slurm_account=me slurm_partition=long mem_mb=2000 "
    "runtime=60 -- figures/fig4a.pdf": "needs a cluster",
}
RUNS = "results/*/*/*/identity.json"
INTERRUPTED = (  # some seconds after the run has begun; must save
    "python run_ppo.py -c cfg/ant/cbp.yml --rr 1e-3 --n_steps 1e6",
    "python run_mnist.py -c cfg/cbp.yml --setting replacement_rate=0.0001 --num_features 100 --num_examples 1_200_000",
    "python run_cifar.py -c cfg/retrained_network.yml -s 0 --width 8 --total_classes 20 --class_increase_frequency 10",
)
FEW_FIGURES = ("make figures", "snakemake claims --cores 8")  # executed with the figures of runs that exist
FIGURES = ("fig4a", "fig4b", "fig4c", "fig4d", "fig4", "ed5c")
REFUSED = {  # end of a command that fails on some machines: word that its error names
    "--device cuda": "cuda",
    "-d cuda": "cuda",
    "--backend mujoco-py": "`make legacy`",
    "python -m lop.data imagenet --source original": "data.folder",
    "python -m lop.claims ed4a": "`snakemake claims`",
}
BEFORE = {  # what a page presupposes
    "config/README.md": "python -m lop.data mnist",  # after tuning, the images exist
    "published/README.md": "python -m lop.report.publish fig4a --scale day",
}
PYTHON_ELSEWHERE = {
    "README.md": "tests/test_docs.py",
    "docs/your_network.md": "tests/test_docs.py",
    "docs/extending.md": "tests/workflow/test_extending.py",
}


@dataclass(frozen=True)
class Command:
    """A command of a page, as written, with the lines of output that the page shows."""

    page: str
    line: str
    output: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The command without its comment."""
        return re.split(r"\s+# ", self.line)[0].strip()


def code(page: str) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of the code on a page; the language of code within the text is `inline`.

    Directives such as `{code-cell}` are left out: `make docs` executes them.
    """
    for token in MarkdownIt().parse((ROOT / page).read_text()):
        if token.type in ("fence", "code_block") and not token.info.startswith("{"):
            yield token.info.strip(), token.content
        for child in token.children or ():
            if child.type == "code_inline":
                yield "inline", child.content


def in_block(page: str, text: str) -> Iterator[Command]:
    """Yield the lines of a block that are not paths of results; they should be commands."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(line.startswith("$ ") for line in lines):  # a session: commands and their output
        for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            yield Command(page, session.splitlines()[0], tuple(session.splitlines()[1:]))
        return
    for number, line in enumerate(lines):
        if line.startswith("cd ") and number + 1 < len(lines):  # for the lines that follow
            lines[number + 1] = f"{line} && {lines[number + 1]}"
        elif not line.startswith("results/"):
            yield Command(page, line)


def documented() -> list[Command]:
    """Return the commands of all pages."""
    pages = subprocess.check_output(("git", "ls-files", "*.md"), cwd=ROOT, text=True).splitlines()
    blocks, inline = [], []
    for page in pages:
        for language, text in code(page):
            if language == "inline" and PROGRAM.match(text):
                inline.append(Command(page, " ".join(text.split())))
            elif not language:
                blocks += in_block(page, text)
    # `snakemake plan` within the text is the name of `snakemake plan --cores 1`.
    written = [f"{command.text} " for command in blocks if command.text not in NOT_RUN]
    inline = [command for command in inline if not any(line.startswith(f"{command.line} ") for line in written)]
    found = {(command.page, command.text): command for command in (*inline, *blocks)}  # in blocks, with their output
    return sorted(found.values(), key=lambda command: pages.index(command.page))


COMMANDS = documented()
RUN = {page: list(run) for page, run in groupby((c for c in COMMANDS if c.text not in NOT_RUN), lambda c: c.page)}
PYTHON = {
    page: blocks
    for page in dict.fromkeys(command.page for command in COMMANDS)
    if (blocks := [text for language, text in code(page) if language == "python"]) and page not in PYTHON_ELSEWHERE
}


def test_blocks_without_a_language_contain_commands():
    assert not [command for command in COMMANDS if not PROGRAM.match(command.line)]


def test_the_tables_name_commands_of_the_documentation():
    texts = {command.text for command in COMMANDS}
    obsolete = {*NOT_RUN, *PLANNED, *INTERRUPTED, *FEW_FIGURES} - texts
    assert not obsolete
    assert not NOT_RUN.keys() & PLANNED.keys()
    assert all(any(text.endswith(end) for text in texts) for end in REFUSED)


def test_make_knows_the_targets_of_the_documentation():
    for command in COMMANDS:
        if command.text.startswith("make ") and "<" not in command.text:
            subprocess.run((*shlex.split(command.text), "-n"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_every_page_and_language_is_covered():
    pages = subprocess.check_output(("git", "ls-files", "*.md"), cwd=ROOT, text=True).splitlines()
    languages = {(page, language) for page in pages for language, _ in code(page)}
    assert {language for _, language in languages} <= {"", "inline", "python", *CONTENTS}
    assert {page for page, language in languages if language == "python"} == {*PYTHON, *PYTHON_ELSEWHERE}
    assert len(COMMANDS) > 90


class Newcomer:
    """A reader who follows a page in a copy of the project."""

    def __init__(self, project: Project):
        self.project, self.folder = project, project.folder
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        shutil.copytree(ROOT / "published", self.folder / "published", dirs_exist_ok=True)
        programs = self.folder / ".venv/bin"
        programs.mkdir(parents=True)
        (programs / "python").symlink_to(project.python)
        (programs / "snakemake").write_text('#!/bin/sh\nexec python -m snakemake $DRY_RUN "$@"\n')
        (programs / "snakemake").chmod(0o755)
        (programs.parent / ".ready").touch()
        if "scale: laptop" in (self.folder / "config/config.yaml").read_text():
            project.edit("config/config.yaml", "scale: laptop", "scale: smoke")
        self.environment = project.environment | {"PATH": f"{programs}:{os.environ['PATH']}"}
        for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"):  # of `make test-slow`
            self.environment.pop(name, None)
        self._provide()

    def _provide(self) -> None:
        """Create what stands for the reader's own files."""
        own, run = self.folder.parent / "own", self.project.metrics()
        shutil.copytree(self.folder / "config", own / "config")
        (own / "results").symlink_to(self.folder / "results")
        frictions = self.folder / "lop/rl/path/to/frictions.txt"
        frictions.parent.mkdir(parents=True, exist_ok=True)
        frictions.write_text("0.1 0.2 0.3 0.4 0.5\n")
        (self.folder / "frictions").write_bytes(pickle.dumps([[0.1, 0.2]]))
        shutil.copy(run, self.folder / "metrics-50000000.parquet")
        lop = self.folder.parent / "lop"
        lop.symlink_to(self.folder)  # a path without spaces
        self.places = {
            "/path/to/lop": str(lop),
            "/path/to/project": str(own),
            "b1ea": run.parents[1].name[:8],
            "40d1": self.project.metrics("ant/ns").parents[1].name[:8],
        }
        snakefile = next(text for _, text in code("docs/extending.md") if text.startswith("configfile: "))
        (own / "Snakefile").write_text(self.here(snakefile))
        module = next(text for _, text in code("docs/your_network.md") if "def make():" in text)
        (self.folder / "my_module.py").write_text(module)

    def here(self, text: str) -> str:
        for place, ours in self.places.items():
            text = re.sub(rf"{place}\b", ours, text)
        return text

    def start(self, command: str, folder: Path, interrupt: bool, **environment: str) -> subprocess.CompletedProcess:
        """Execute a command, and interrupt it some seconds after its run has begun."""
        before = set(self.folder.glob(RUNS))
        with subprocess.Popen(
            ("bash", "-c", command),
            cwd=folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            if interrupt:
                while process.poll() is None and set(self.folder.glob(RUNS)) == before:
                    time.sleep(0.2)
                time.sleep(3)
                os.killpg(process.pid, signal.SIGINT)
            output = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, *output)

    def follow(self, command: Command) -> str | None:
        """Execute a command of a page; return what is wrong, if anything."""
        beside = (ROOT / command.page).parent
        names = [word for word in command.text.split() if not word.startswith("-")]
        folder = beside if beside.parent == ROOT / "lop" and any((beside / name).exists() for name in names) else ROOT
        done = self.start(
            self.here(scaled(command)),
            self.folder / folder.relative_to(ROOT),
            command.text in INTERRUPTED,
            DRY_RUN="-n" if command.text in PLANNED else "",
        )
        told = (
            f"{command.page}: {command.text}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
        refusals = [word for end, word in REFUSED.items() if command.text.endswith(end)]
        if done.returncode == EXIT_BAD_INPUT and refusals:
            return None if len(done.stderr.splitlines()) == 1 and refusals[0] in done.stderr else told
        if done.returncode != (EXIT_INTERRUPTED if command.text in INTERRUPTED else 0):
            return told
        missing = [line for line in command.output if line != "..." and masked(line) not in masked(done.stdout)]
        return f"{told}: not in the output: {missing}" if missing else None


def scaled(command: Command) -> str:
    """Return a command at smoke scale, unless it starts no run.

    Figures at day scale are drawn from published runs, except on the page that publishes some at smoke scale.
    """
    drawn = r"|figures/.*scale=day" if command.page != "published/README.md" else ""
    if re.search(rf"snakemake plan|lop\.plan|--help|-n {drawn}", command.line, re.IGNORECASE):
        return command.line
    line, scales = re.subn(r"\b(scale[= ])(paper|day|laptop)\b", r"\1smoke", command.line, flags=re.IGNORECASE)
    return line if scales else re.sub(r"(\brun_\w+\.py -c \S+)", r"\1 --scale smoke", line)


def masked(text: str) -> str:
    """Return output without keys, sizes, ages, core-hours and the width of columns."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "KEY", text)
    text = re.sub(r"[\d.]+ [kMG]?B\b", "SIZE", text)
    text = re.sub(r"\b\d+ (s|min|h)( \d+ s)?\b", "AGE", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\b\d+\.\d+$", "HOURS", text, flags=re.MULTILINE))


def with_few_figures(project: Project, folder: Path) -> Newcomer:
    """Return a copy of a project that has only figures of existing runs."""
    few = Project(folder, project.folder, project.python)
    for name in ("config/figures.yaml", "config/claims.yaml", "config/scales/smoke.yaml"):
        path = few.folder / name
        content = yaml.safe_load(path.read_text())
        kept = content.get("figures", content)
        for figure in kept.keys() - set(FIGURES):
            del kept[figure]
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return Newcomer(few)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({*RUN, *PYTHON}))
def test_commands_of_a_page_run_as_written(page, built, tmp_path, python):
    project = Project(tmp_path / "Größe mit Leerzeichen", built, python)
    newcomer, wrong = Newcomer(project), []
    if page == "docs/extending.md":
        add_methods(project)
    if page in BEFORE:
        wrong.append(newcomer.follow(Command(page, BEFORE[page])))
    for command in RUN.get(page, ()):
        if command.text in FEW_FIGURES:
            wrong.append(with_few_figures(project, tmp_path / command.text / "project").follow(command))
        else:
            wrong.append(newcomer.follow(command))
    if page in PYTHON:
        (newcomer.folder / "page.py").write_text("\n".join(PYTHON[page]))
        wrong.append(newcomer.follow(Command(page, "python page.py")))
    assert not (mistakes := [each for each in wrong if each]), "\n\n".join(mistakes)
