"""`python -m lop.runs`: list, show, compare and remove runs."""

import pytest
import torch
from refusals import error_line, names
from test_plan import made, spec

from lop.common.locks import locked
from lop.data.sets import ImageSource
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.plan.manage import main, remove, size_text, unwanted
from lop.problems import PROBLEMS
from lop.runs.spec import Conditions, resolve


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs the command and returns the lines of its output."""

    def lines(*arguments):
        main(["--results", str(tmp_path), *arguments])
        return capsys.readouterr().out.splitlines()

    return lines


def test_runs_are_listed_with_their_states_and_figures(tmp_path, run):
    made(tmp_path, spec())
    made(tmp_path, spec(seed=1), versions={"torch": "0.1"})
    made(tmp_path, spec(n_steps=100))
    other = spec(seed=3, lr=0.5)
    made(tmp_path, other)
    (tmp_path / spec(seed=4, lr=0.5).folder).mkdir()
    (tmp_path / spec(seed=4, lr=0.5).folder / "checkpoint.pt").touch()
    (tmp_path / spec(seed=6, lr=0.5).folder).mkdir()
    with locked(tmp_path / spec(seed=5, lr=0.5).folder):
        wanted, unwanted = sorted(run(), key=lambda line: "nothing" in line.split("  ")[-1])[1:]
    assert spec().key in wanted
    assert "0-1" in wanted
    assert "100, 4,096" in wanted
    assert "2 finished" in wanted
    assert "fig4a" in wanted
    assert other.key in unwanted
    assert all(state in unwanted for state in ("1 finished", "1 interrupted", "1 running", "1 empty"))


def test_files_with_other_names_are_not_listed(tmp_path, run):
    path = made(tmp_path, spec())
    path.with_name("metrics-4096 (conflicted copy).parquet").touch()
    (path.parent.with_name("seed-0 copy")).mkdir()
    (line,) = run()[1:]
    names(line, spec().key, "1 finished", "4,096")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_500, "1 MB"), (25e11, "2.5 TB")],
)
def test_sizes_have_three_significant_digits(size, text):
    assert size_text(size) == text


def test_show_accepts_a_key_or_a_file(tmp_path, run):
    path = made(tmp_path, spec(), versions={"torch": "0.1"})
    for name in (spec().key, spec().key[:5], str(path)):
        lines = run("show", name)
        assert ' "lr": 0.0001,' in "\n".join(lines)
        names(next(line for line in lines if "seed-0" in line), "4,096", "torch", "0.1", torch.__version__)


def test_compare_lists_the_differences_of_two_runs(tmp_path, run):
    made(tmp_path, spec(), versions={"torch": "0.1"})
    made(tmp_path, spec(lr=0.5), versions={"torch": "0.2"})
    lr, torchs = run("compare", spec().key, spec(lr=0.5).key)
    names(lr, "lr", 0.0001, 0.5)
    names(torchs, "torch", "0.1", "0.2")


def test_only_unused_runs_and_tables_are_removed_and_only_on_request(tmp_path, run):
    for scale in ("smoke", "paper"):
        made(tmp_path, spec(scale=scale))
    made(tmp_path, spec(conditions=Conditions(device="cuda")))
    figure = load_figure("fig4a", "laptop")
    table = tmp_path / table_path(figure, shown_runs(figure, Conditions()))
    table.parent.mkdir(parents=True)
    table.touch()
    table.with_stem("0123456789abcdef").touch()
    assert len(run("remove")) == 1 + 1  # the table, and a summary
    made(tmp_path, spec(lr=0.5))
    made(tmp_path, spec(lr=0.25))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with locked(tmp_path / spec(lr=0.25).folder):
        assert len(run("remove")) == 2 + 1
        assert {path for path in tmp_path.rglob("*") if path.is_file()} >= before
        run("remove", "--delete")
    assert not (tmp_path / spec(lr=0.5).group).exists()
    assert (tmp_path / spec(lr=0.25).path).exists()
    assert {path.stem for path in table.parent.iterdir()} == {table.stem}
    assert all((tmp_path / spec(scale=scale).path).exists() for scale in ("smoke", "paper"))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [(("show", "0123"), ("'0123'",)), (("compare", "", "9"), ("''", spec().key, spec(lr=0.5).key))],
)
def test_unknown_or_ambiguous_key_is_rejected(tmp_path, arguments, facts, capsys):
    made(tmp_path, spec())
    made(tmp_path, spec(lr=0.5))
    names(error_line(capsys, main, ["--results", str(tmp_path), *arguments]), *facts)


def test_run_that_starts_before_its_removal_is_kept(tmp_path):
    made(tmp_path, spec(lr=0.5))
    paths = unwanted(tmp_path)
    assert paths == [tmp_path / spec(lr=0.5).group]
    with locked(tmp_path / spec(lr=0.5).folder):
        assert not remove(paths[0])
    assert (tmp_path / spec(lr=0.5).path).exists()
    assert remove(paths[0])


def test_runs_on_images_of_another_seed_are_kept(tmp_path):
    other = resolve(
        PROBLEMS["imagenet"], "bp", 0, "smoke", "step_size=0.01", conditions=Conditions(ImageSource(seed=5))
    )
    made(tmp_path, other)
    assert unwanted(tmp_path) == []


def test_damaged_or_missing_identity_is_reported_and_other_runs_are_listed(tmp_path, run):
    for other in (spec(), spec(lr=0.5), spec(lr=0.25)):
        made(tmp_path, other)
    (tmp_path / spec(lr=0.5).group / "identity.json").write_text("{}")
    (tmp_path / spec(lr=0.25).group / "identity.json").unlink()
    lines = {line.split()[1]: line for line in run()[1:]}
    assert "identity.json" not in lines[spec().key]
    assert all("identity.json" in lines[spec(lr=lr).key] for lr in (0.5, 0.25))
