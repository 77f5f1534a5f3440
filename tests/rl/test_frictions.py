"""Friction of Slippery Ant: the schedule, the file of frictions and whole runs."""

from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from interrupted import InterruptedRun, goes_on_after_a_cut
from refusals import error_line, names, refusal
from scripts import run

from lop.problems import PROBLEMS
from lop.rl import run_ppo
from lop.rl.frictions import Frictions, drawn, read
from lop.rl.parameters import PPOParameters
from lop.runs.metrics import read_about
from lop.runs.spec import resolve

SMALL = {"bs": 64, "n_itrs": 2, "n_slices": 2, "h_dim": [16, 16]}


def test_friction_changes_at_the_first_episode_end_after_change_time():
    """With change_time 10, an end at step 10 is too early and one at step 11 is not; the next interval starts there."""
    frictions = Frictions([0.5, 1.0, 2.0], 10)
    changes = {step: frictions.episode_ended(step) for step in (3, 10, 11, 15, 21, 22)}
    assert changes == {3: False, 10: False, 11: True, 15: False, 21: False, 22: True}
    assert frictions.current == 2.0


@pytest.mark.parametrize(("n_steps", "change_time"), [(1, 1), (10, 3), (12, 3), (13, 3), (20_000_000, 2_000_000)])
def test_enough_frictions_are_drawn_even_if_every_step_ends_an_episode(n_steps, change_time):
    frictions = Frictions(drawn(0, Frictions.most(n_steps, change_time)), change_time)
    changes = range(n_steps) if n_steps < 100 else [change_time * k + k for k in range(1, 10)]
    assert all(isinstance(frictions.episode_ended(step), bool) and frictions.current > 0 for step in changes)


def test_frictions_are_log_uniform_and_shorter_sequences_are_prefixes():
    sequence = drawn(0, 20_000)
    assert min(sequence) >= 0.02
    assert max(sequence) <= 2
    assert np.mean(np.log10(sequence)) == pytest.approx(np.log10(0.2), abs=0.02)
    assert np.std(np.log10(sequence)) == pytest.approx(2 / 12**0.5, abs=0.02)
    assert drawn(0, 5) == sequence[:5]
    assert drawn(1, 5) != sequence[:5]


def test_file_of_frictions_has_one_line_per_seed(tmp_path):
    (tmp_path / "f.txt").write_text("0.1 0.2,0.3\n\n4\n")
    assert read(tmp_path / "f.txt", 0, 2) == [0.1, 0.2, 0.3]
    assert read(tmp_path / "f.txt", 1, 0) == []
    assert read(tmp_path / "f.txt", 2, 1) == [4]


@pytest.mark.parametrize(
    ("content", "same"),
    [("7\n1,2,3\n9 9 9\n", True), ("0.1 0.2 0.3\n1 2 3 4\n", False), ("0.1 0.2 0.3\n1 2 4\n", False)],
)
def test_only_the_line_of_the_seed_identifies_a_run(content, same, tmp_path):
    """Runs with the same parameters share a group, in which each distinct line has its own folder."""

    def run_with(text):
        (tmp_path / "f.txt").write_text(text)
        overrides = {"n_steps": 20, "change_time": 9, "frictions_file": str(tmp_path / "f.txt")}
        return resolve(PROBLEMS["rl"], "sant/std", 1, "paper", overrides=overrides)

    before, after = run_with("0.1 0.2 0.3\n1 2 3\n"), run_with(content)
    assert before.inputs == before.origin["inputs"] == {"frictions": [1, 2, 3]}
    assert (after.folder == before.folder) == (after.origin == before.origin) == same
    assert (after.group, after.identity) == (before.group, before.identity)


def test_path_is_relative_to_the_file_that_contains_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/given.txt").write_text("1 1")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/sub, one.txt").write_text("2 2")
    cfg = tmp_path / "there/mine.yml"
    cfg.write_text("env_name: SlipperyAnt-v3\nn_steps: 20\nchange_time: 10\nfrictions_file: sub, one.txt\n")
    monkeypatch.chdir(tmp_path / "here")
    run_of = partial(resolve, PROBLEMS["rl"], "mine", 0, "paper", cfg=Path("../there/mine.yml"))
    assert run_of().inputs == {"frictions": [2, 2]}
    assert run_of().setting == "default"
    assert run_of(overrides={"frictions_file": "given.txt"}).inputs == {"frictions": [1, 1]}
    cfg.write_text(cfg.read_text().replace("sub, one.txt", "['sub, one.txt', ../here/given.txt]"))
    assert run_of(setting="frictions_file=sub+one.txt").inputs == {"frictions": [2, 2]}
    assert run_of(setting="frictions_file=given.txt").inputs == {"frictions": [1, 1]}
    with refusal("command line", "frictions_file", 3):
        run_of(overrides={"frictions_file": 3})


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [({"change_time": 9}, ["change_time", 9]), ({"frictions_file": "f"}, ["frictions_file", "f"])],
)
def test_only_slippery_ant_accepts_the_keys_of_friction(overrides, facts):
    with refusal("command line", "SlipperyAnt-v3", *facts):
        resolve(PROBLEMS["rl"], "ant/std", 0, "paper", overrides=overrides)


def test_longer_run_continues_only_with_the_same_frictions(tmp_path):
    """Runs of 60 and of 63 steps need 3 and 4 frictions."""
    path = tmp_path / "f.txt"

    def resumed(steps, frictions):
        path.write_text(f"\n{frictions}\n")
        settings = ["--change_time", 20, "--frictions_file", path, "--n_steps", steps]
        before = set(tmp_path.glob("rl/*/*/seed-1-*/metrics-*.parquet"))
        run(run_ppo, "-c", "cfg/sant/std.yml", "-s", 1, "--results", tmp_path, *settings)
        (made,) = set(tmp_path.glob("rl/*/*/seed-1-*/metrics-*.parquet")) - before
        return made, read_about(made)["resumed"]

    first, _ = resumed(60, "0.1 0.2 0.4 0.8")
    longer, times = resumed(63, "0.1 0.2 0.4 0.8")
    assert (longer.parent, times) == (first.parent, 1)
    other, times = resumed(63, "0.1 0.3 0.4 0.8")
    assert (other.parent.parent, times) == (first.parent.parent, 0)
    assert other.parent != first.parent


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (None, ["frictions_file"]),
        (b"\x80\x04\x95", ["seed 0"]),
        (b"0.1 0.2\n0.1 slippery 1\n", ["line 2", "slippery", 0]),
        (b"\n0.1 -1 0.3\n", ["line 2", -1, 0]),
        (b"0.1 0.2 0.3\n", ["seed 1", 0, 3, "n_steps", "change_time"]),
        (b"0.1 0.2 0.3\n0.1\n", ["seed 1", 1, 3, "n_steps", "change_time"]),
    ],
)
def test_invalid_file_is_rejected(content, facts, tmp_path):
    path = tmp_path / "f.txt"
    if content is not None:
        path.write_bytes(content)
    parameters = PPOParameters(env_name="SlipperyAnt-v3", n_steps=20, change_time=9, frictions_file=str(path))
    with refusal(path, *facts):
        parameters.inputs(1)


def test_command_rejects_a_missing_file(tmp_path, capsys):
    bad = ["-c", "cfg/sant/std.yml", "--frictions_file", "nowhere.txt", "--results", tmp_path]
    names(error_line(capsys, run, run_ppo, *bad), "nowhere.txt", "frictions_file")


@pytest.fixture
def short_episodes(monkeypatch):
    """Limit episodes to 40 steps."""
    make = run_ppo.make
    monkeypatch.setattr(
        run_ppo, "make", lambda *which, **more: gymnasium.wrappers.TimeLimit(make(*which, **more).unwrapped, 40)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("short_episodes")
def test_run_interrupted_between_changes_of_friction_and_at_one_resumes_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(run_ppo, "WINDOW", 10)  # steps between two logged frictions
    spec = resolve(PROBLEMS["rl"], "sant/std", 1, "paper", overrides=SMALL | {"n_steps": 600, "change_time": 90})
    changes = []

    def saved_at(table):
        counted = Frictions(spec.horizon * [1.0], spec.parameters.change_time)
        changes.extend(int(end) for end in values(table, "return").index if counted.episode_ended(end - 1))
        return (changes[0] + changes[1]) // 2, changes[1]

    table, _ = goes_on_after_a_cut(run_ppo.train, lambda name: InterruptedRun(spec, tmp_path / name), saved_at)
    logged = values(table, "friction")
    for step in range(10, 601, 10):
        assert logged[step] == drawn(1, 99)[sum(change <= step for change in changes)]
    assert len(changes) >= 4


def values(table, metric):
    rows = table.to_pandas()
    return rows[rows["metric"] == metric].set_index("step")["value"]
