"""The friction of Slippery Ant, by hand and in whole runs."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_run_ppo import finished, run_under_fire, start

from lop.common.errors import InputError
from lop.common.paths import ROOT
from lop.problems import PROBLEMS
from lop.rl.frictions import Frictions, drawn, read
from lop.rl.parameters import PPOParameters
from lop.runs.spec import resolve

SLIPPERY = ["--env_name", "SlipperyAnt-v3", "--change_time", "2500"]


def test_it_changes_with_the_first_episode_that_ends_late_enough():
    """change_time 10: an end at step 10 is too early, 11 is not; from there on counted anew."""
    frictions = Frictions([0.5, 1.0, 2.0], 10)
    changes = {step: frictions.episode_ended(step) for step in (3, 10, 11, 15, 21, 22)}
    assert changes == {3: False, 10: False, 11: True, 15: False, 21: False, 22: True}
    assert frictions.current == 2.0


@pytest.mark.parametrize(("n_steps", "change_time"), [(1, 1), (10, 3), (12, 3), (13, 3), (20_000_000, 2_000_000)])
def test_a_run_whose_every_step_ends_an_episode_needs_no_more_than_it_has(n_steps, change_time):
    frictions = Frictions(drawn(0, Frictions.most(n_steps, change_time)), change_time)
    changes = range(n_steps) if n_steps < 100 else [change_time * k + k for k in range(1, 10)]
    assert all(isinstance(frictions.episode_ended(step), bool) and frictions.current > 0 for step in changes)


def test_frictions_are_log_uniform_and_a_longer_sequence_begins_alike():
    sequence = drawn(0, 20_000)
    assert min(sequence) >= 0.02
    assert max(sequence) <= 2
    assert np.mean(np.log10(sequence)) == pytest.approx(np.log10(0.2), abs=0.02)
    assert np.std(np.log10(sequence)) == pytest.approx(2 / 12**0.5, abs=0.02)
    assert drawn(0, 5) == sequence[:5]
    assert drawn(1, 5) != sequence[:5]


def test_a_file_gives_every_seed_its_line(tmp_path):
    (tmp_path / "f.txt").write_text("0.1 0.2,0.3\n\n4\n")
    assert read(tmp_path / "f.txt", 0, 2) == [0.1, 0.2, 0.3]
    assert read(tmp_path / "f.txt", 1, 0) == []
    assert read(tmp_path / "f.txt", 2, 1) == [4]


@pytest.mark.parametrize(
    ("content", "same"),
    [("7\n1,2,3\n9 9 9\n", True), ("0.1 0.2 0.3\n1 2 3 4\n", False), ("0.1 0.2 0.3\n1 2 4\n", False)],
)
def test_of_a_file_only_the_seeds_line_counts(tmp_path, content, same):
    """All of that line: runs of the same parameters with another one have a folder of their own beside it."""

    def run_with(text):
        (tmp_path / "f.txt").write_text(text)
        overrides = {"n_steps": 20, "change_time": 9, "frictions_file": str(tmp_path / "f.txt")}
        return resolve(PROBLEMS["rl"], "sant/std", 1, "paper", overrides=overrides)

    before, after = run_with("0.1 0.2 0.3\n1 2 3\n"), run_with(content)
    assert before.inputs == before.origin["inputs"] == {"frictions": [1, 2, 3]}
    assert (after.folder == before.folder) == (after.origin == before.origin) == same
    assert (after.group, after.identity) == (before.group, before.identity)


def test_a_path_is_from_the_folder_of_what_names_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/given.txt").write_text("1 1")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/sub, one.txt").write_text("2 2")
    cfg = tmp_path / "there/mine.yml"
    cfg.write_text("env_name: SlipperyAnt-v3\nn_steps: 20\nchange_time: 10\nfrictions_file: sub, one.txt\n")
    monkeypatch.chdir(tmp_path / "here")
    run = partial(resolve, PROBLEMS["rl"], "mine", 0, "paper", cfg=Path("../there/mine.yml"))
    assert run().inputs == {"frictions": [2, 2]}
    assert run().setting == "default"
    assert run(overrides={"frictions_file": "given.txt"}).inputs == {"frictions": [1, 1]}
    cfg.write_text(cfg.read_text().replace("sub, one.txt", "['sub, one.txt', ../here/given.txt]"))
    assert run(setting="frictions_file=sub+one.txt").inputs == {"frictions": [2, 2]}
    assert run(setting="frictions_file=given.txt").inputs == {"frictions": [1, 1]}
    with pytest.raises(InputError, match="command line: key `frictions_file`: found 3, allowed: a valid path"):
        run(overrides={"frictions_file": 3})


@pytest.mark.parametrize(
    ("overrides", "found"),
    [({"change_time": 9}, "change_time`: found 9"), ({"frictions_file": "f"}, "file`: found 'f'")],
)
def test_they_are_of_slippery_ant_alone(overrides, found):
    with pytest.raises(InputError) as error:
        resolve(PROBLEMS["rl"], "ant/std", 0, "paper", overrides=overrides)
    assert str(error.value).startswith("command line: key `")
    assert str(error.value).endswith(f"{found}, allowed: only with env_name SlipperyAnt-v3")


def test_a_longer_run_goes_on_with_the_same_frictions_alone(tmp_path):
    """Runs of 12,000 and of 12,600 steps need 5 and 6 frictions; another line starts a run of its own."""
    path = tmp_path / "f.txt"

    def run(steps, frictions):
        path.write_text(f"\n{frictions}\n")
        process = start(tmp_path, extra=[*SLIPPERY, "--frictions_file", str(path), "--n_steps", str(steps)])
        _, told = process.communicate()
        assert process.returncode == 0, told
        return told

    run(12_000, "0.1 0.2 0.4 0.8 1.6 2.0")
    assert "continues from 12,000" in run(12_600, "0.1 0.2 0.4 0.8 1.6 2.0")
    assert "continues from" not in run(12_600, "0.1 0.3 0.4 0.8 1.6 2.0")
    made = sorted(tmp_path.glob("rl/*/*/seed-1-*/metrics-*.parquet"))
    assert len(made) == 3
    assert len({file.parent for file in made}) == 2
    assert len({file.parents[1] for file in made}) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "f.txt: key `frictions_file`: No such file or directory"),
        (b"\x80\x04\x95", "f.txt: found no text, allowed: lines of numbers, the first for seed 0"),
        (b"0.1 0.2\n0.1 slippery 1\n", "f.txt: line 2: found 'slippery', allowed: frictions, 0 and more"),
        (b"\n0.1 -1 0.3\n", "f.txt: line 2: found '-1', allowed: frictions, 0 and more"),
        (b"0.1 0.2 0.3\n", "f.txt: frictions of seed 1: found 0, allowed: 3 and more, as many as"),
        (b"0.1 0.2 0.3\n0.1\n", "f.txt: frictions of seed 1: found 1, allowed: 3 and more, as many as"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path, content, message):
    path = tmp_path / "f.txt"
    if content is not None:
        path.write_bytes(content)
    parameters = PPOParameters(env_name="SlipperyAnt-v3", n_steps=20, change_time=9, frictions_file=str(path))
    with pytest.raises(InputError) as error:
        parameters.inputs(1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_file_ends_the_command(tmp_path):
    script = [sys.executable, "-m", "lop.rl.run_ppo", "-c", str(ROOT / "lop/rl/cfg/sant/std.yml")]
    run = subprocess.run(
        [*script, "--frictions_file", "nowhere.txt", "--results", str(tmp_path)], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "nowhere.txt: key `frictions_file`: No such file" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.slow
def test_killed_across_changes_of_friction_it_ends_with_the_same_numbers(tmp_path):
    assert start(tmp_path / "whole", extra=SLIPPERY).wait() == 0
    assert run_under_fire(tmp_path / "killed", most_kills=3, extra=SLIPPERY) >= 2
    whole = pq.read_table(finished(tmp_path / "whole"))
    assert pq.read_table(finished(tmp_path / "killed")).equals(whole)
    table = whole.to_pandas()
    logged = table[table["metric"] == "friction"]
    assert list(logged["step"]) == list(range(1000, 12_001, 1000))
    sequence = list(dict.fromkeys(logged["value"]))
    assert len(sequence) >= 3
    assert sequence == drawn(1, len(sequence))
