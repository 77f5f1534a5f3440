"""Published runs are verified by repeating their beginning. tests/workflow/test_published.py repeats real runs."""

import subprocess

import numpy as np
import pyarrow as pa
import pytest
from refusals import error_line, names
from written import about, write_run

from lop.problems import PROBLEMS
from lop.report import verify
from lop.report.verify import identical, outliers, same_processor, shortened
from lop.runs.published import Table
from lop.runs.spec import resolve

SPEC = resolve(PROBLEMS["rl"], "ant/std", 0, "smoke")
HALF = shortened(SPEC, 0.5)
MACHINE = about(SPEC)["machine"]


@pytest.mark.parametrize(
    ("problem", "config", "fraction", "horizon"),
    [
        ("rl", "ant/std", 0.01, 100_000),
        ("rl", "sant/cbp", 0.003, 12_500),  # the longest part up to a 333rd that divides the run
        ("permuted_mnist", "best/bp", 0.001, 60_000),  # at least a task
        ("rl", "ant/std", 2.0, 10_000_000),
    ],
)
def test_a_part_of_a_run_has_a_possible_length(problem, config, fraction, horizon):
    spec = resolve(PROBLEMS[problem], config, 0, "day")
    short = shortened(spec, fraction)
    assert short.horizon == horizon
    assert short.parameters.identity("cpu") == spec.parameters.identity("cpu") | {spec.parameters.horizon: horizon}


def table(**values):
    """Return the metrics of a run, in the columns of its file."""
    rows = [(name, step, value) for name, some in values.items() for step, value in enumerate(some)]
    names, steps, numbers = zip(*rows, strict=True)
    layers = pa.nulls(len(rows), pa.int16())
    columns = {"metric": pa.array(names).dictionary_encode(), "step": steps, "layer": layers, "value": numbers}
    return pa.table(columns)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"a": [0.0, np.nan]}, True),
        ({"a": [-0.0, np.nan]}, False),
        ({"a": [0.0]}, False),
        ({"b": [0.0, np.nan]}, False),
    ],
)
def test_runs_are_identical_if_every_bit_is(other, same):
    assert identical(table(a=[0.0, np.nan]), table(**other)) == same


def test_means_outside_the_prediction_interval_of_the_published_seeds_are_found():
    """The means 1, 2 and 3 have the standard deviation 1, and t(0.9995, 2) = 31.599055."""
    width = 31.599055 * np.sqrt(1 + 1 / 3)
    published = [table(a=[mean - 1, mean + 1], rare=[mean]) for mean in (1.0, 2.0)] + [table(a=[3.0])]
    for mean, found in ((2 + width - 1e-3, []), (2 + width + 1e-3, ["a"]), (2 - width - 1e-3, ["a"]), (np.nan, ["a"])):
        assert list(outliers(table(a=[mean - 5, mean + 5]), published)) == found
    (few,) = outliers(table(rare=[1.0]), published[1:])
    assert few.startswith("rare ")


def test_processors_are_the_same_if_all_parts_of_both_runs_have_the_same_model_and_features():
    runs = [about(SPEC, machine=MACHINE | {"features": features}) for features in ("avx2", "avx2", "avx2 avx512f")]
    assert same_processor(runs[0], runs[1])
    assert not same_processor(runs[0], runs[2])
    assert not same_processor(runs[0], runs[1] | {"earlier": [runs[2]]})


class Repeating:
    """Published runs with means 1, 2 and 3, and a repetition of one of them on this or another machine."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.commands = folder, []
        self.specs = [SPEC.with_seed(seed) for seed in range(3)]
        for spec in self.specs:
            write_run(folder / "published", spec, [("return", 1000, None, 1.0 + spec.seed)])
        monkeypatch.setattr(verify, "RUNS", folder / "published")
        monkeypatch.setattr(verify.subprocess, "run", self.run)

    def run(self, command, **options):
        self.commands.append(command)
        if self.value is not None:
            rows = [("return", 1000, None, self.value)]
            write_run(self.folder / "repeated", HALF, rows, machine=MACHINE | {"processor": self.processor})
        return subprocess.CompletedProcess(command, int(self.value is None), "", self.errors)

    def verified(self, value, processor=MACHINE["processor"], errors=""):
        self.value, self.processor, self.errors = value, processor, errors
        return verify.verify(self.specs[0], self.specs, 900, self.folder / "repeated")  # half of their 1800 seconds


def test_repeated_part_is_compared_bit_by_bit_or_with_the_interval_of_all_seeds(tmp_path, monkeypatch):
    repeating = Repeating(tmp_path, monkeypatch)
    part = f"first {HALF.horizon:,} of {SPEC.horizon:,}"
    for value, processor, verified, facts in (
        (1.0, "another", True, ("bit-identical", "all 1 values")),
        (1.5, MACHINE["processor"], False, ("same kind",)),
        (1.5, "another", True, ("another kind", 3)),
        (50.0, "another", False, ("another kind", 3, "return")),
    ):
        found, text = repeating.verified(value, processor)
        assert found == verified, text
        names(text, part, *facts)
    assert repeating.commands[0][-4:] == ["--n_steps", f"{HALF.horizon}", "--device", "cpu"]


@pytest.mark.parametrize(("errors", "text"), [("a\nb\n", "b"), ("", "failed without a message")])
def test_run_that_cannot_be_repeated_is_reported_with_its_last_line(errors, text, tmp_path, monkeypatch):
    assert Repeating(tmp_path, monkeypatch).verified(None, errors=errors) == (False, text)


def test_missing_images_of_a_repeated_run_are_created(tmp_path, monkeypatch):
    spec = resolve(PROBLEMS["imagenet"], "bp", 0, "smoke", "step_size=0.01")
    made = []
    monkeypatch.setattr(verify, "PROJECT", tmp_path)
    monkeypatch.setattr(verify, "prepare", lambda *which: made.append(which))
    repeating = Repeating(tmp_path, monkeypatch)
    write_run(tmp_path / "published", spec, [])
    repeating.specs = [spec]
    assert repeating.verified(None)[0] is False
    assert made == [("imagenet", spec.conditions.images, spec.parameters.classes(0), None, tmp_path / "data")]
    assert repeating.commands[0][-6:] == [
        *("--data", f"{tmp_path / 'data'}", "--data-source", "glyphs", "--data-seed", "0")
    ]


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_number_of_runs_must_be_positive(number, capsys):
    names(error_line(capsys, verify.main, ["--runs", number]), "--runs", repr(number))


@pytest.mark.parametrize("figure", ["ed9", "ed2b"])
def test_figures_without_published_runs_are_refused(figure, tmp_path, monkeypatch, capsys):
    """The index lists ed2b with its table only."""
    tables = {
        name: Table(path=tmp_path, key="", collected="", runs=runs, version="", made_by="")
        for name, runs in {"fig4a": ["a"], "ed2b": []}.items()
    }
    monkeypatch.setattr(verify, "published_tables", lambda scale: tables)
    names(error_line(capsys, verify.main, [figure, "--scale", "day"]), repr(figure), "day", "fig4a")
