"""Whole PPO runs, as people start, kill and resume them."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import pyarrow.parquet as pq
import pytest

from lop.common.paths import ROOT
from lop.rl import run_ppo
from lop.runs.command_line import main
from lop.runs.metrics import read_about

SMALL = ["--n_steps", "12000", "--bs", "512", "--n_slices", "4", "--h_dim", "[32, 32]", "--mt", "50"]


def command(results: Path, config="cbp", extra=()) -> list[str]:
    """One small run with all that a checkpoint has to hold: replacements, activity windows, episodes."""
    script = [sys.executable, "run_ppo.py", "-c", f"cfg/ant/{config}.yml", "-s", "1", "--results", str(results)]
    return [*script, *SMALL, "--rr", "0.01", "--checkpoint-every", "0.2", *extra]


def start(results: Path, **options) -> subprocess.Popen:
    return subprocess.Popen(
        command(results, **options), cwd=ROOT / "lop" / "rl", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(results: Path) -> Path:
    (path,) = results.glob("rl/*/*/seed-1/metrics-*.parquet")
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    results = tmp_path_factory.mktemp("uninterrupted")
    process = start(results)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return pq.read_table(finished(results))


def last_save(results: Path) -> float:
    return max((path.stat().st_mtime for path in results.glob("rl/*/*/*/checkpoint.pt")), default=0.0)


def run_under_fire(results: Path, most_kills: int, **options) -> int:
    """Start a run again and again, killing it at random points, until it ends; how often it was killed.

    Every third kill comes at any time, while the run starts, say; the others after it has saved once more.
    """
    rng = random.Random(0)
    kills = 0
    while True:
        saved = last_save(results)
        process = start(results, **options)
        if kills < most_kills:
            while kills % 3 < 2 and last_save(results) == saved and process.poll() is None:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 1.0))
            if process.poll() is None:
                process.kill()
                kills += 1
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, errors
            return kills


def test_killed_at_random_points_it_ends_with_the_same_numbers(tmp_path, uninterrupted):
    assert run_under_fire(tmp_path, most_kills=3) >= 2
    assert pq.read_table(finished(tmp_path)).equals(uninterrupted)
    assert read_about(finished(tmp_path))["resumed"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "extra"),
    [
        ("std", ["--env_name", "Hopper-v3"]),
        ("ns", ["--env_name", "Walker2d-v3", "--act_type", "Tanh"]),
        ("l2", ["--h_dim", "[256, 256]", "--u_epi_ups", "1"]),
        ("cbp", ["--redo", "1", "--reset_period", "20", "--threshold", "0.2"]),
        ("cbp", ["--util_type_pol", "random", "--bootstrap_time_limit", "1", "--move_mean_to_bias", "1"]),
    ],
)
def test_every_kind_of_run_survives_kills(tmp_path, config, extra):
    longer = [*extra, "--n_steps", "20000", "--rr", "0.01"]
    assert start(tmp_path / "whole", config=config, extra=longer).wait() == 0
    assert run_under_fire(tmp_path / "killed", most_kills=4, config=config, extra=longer) >= 3
    assert pq.read_table(finished(tmp_path / "killed")).equals(pq.read_table(finished(tmp_path / "whole")))


def test_asked_to_stop_it_saves_and_can_be_requeued(tmp_path, uninterrupted):
    process = start(tmp_path)
    checkpoint = None
    while checkpoint is None:
        time.sleep(0.1)
        checkpoint = next(tmp_path.glob("rl/*/*/*/checkpoint.pt"), None)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 75
    assert "stopped and saved at" in errors
    assert not list(tmp_path.glob("**/metrics-*.parquet"))
    process = start(tmp_path)
    _, errors = process.communicate()
    assert "continues from" in errors
    assert pq.read_table(finished(tmp_path)).equals(uninterrupted)


def test_a_run_tells_what_it_measured(uninterrupted):
    table = uninterrupted.to_pandas()
    layers = (
        table.groupby("metric", observed=True)["layer"].unique().map(lambda found: sorted(x for x in found if x == x))
    )
    assert dict(layers) == {
        "return": [],
        "episode_length": [],
        "dormant_units": [0, 1],
        "stable_rank": [1],
        "policy_weight_magnitude": [0, 1, 2],
        "value_weight_magnitude": [0, 1, 2],
    }
    steps = {metric: list(rows) for metric, rows in table.groupby("metric", observed=True)["step"]}
    assert steps["stable_rank"] == [10_000]
    assert sorted(set(steps["policy_weight_magnitude"])) == list(range(0, 12_001, 1000))
    assert sorted(set(steps["dormant_units"])) == list(range(1000, 12_001, 1000))
    wide = table.pivot_table(index="step", columns="metric", values="value", observed=True)
    assert wide["episode_length"].max() <= 1000
    assert wide["episode_length"].sum() <= 12_000
    assert wide["dormant_units"].dropna().between(0, 1).all()
    assert (wide["policy_weight_magnitude"].dropna() > 0).all()


def test_a_seed_fixes_a_run_and_seeds_differ(tmp_path, uninterrupted):
    subprocess.run([*command(tmp_path), "-s", "2"], cwd=ROOT / "lop/rl", check=True, capture_output=True)
    (path,) = tmp_path.glob("rl/*/*/seed-2/metrics-*.parquet")
    assert not pq.read_table(path).equals(uninterrupted)


def test_what_made_a_run_is_written_into_it(tmp_path):
    process = start(tmp_path, extra=["--n_steps", "600", "--label", "mine"])
    assert process.wait() == 0
    about = read_about(finished(tmp_path))
    origin = about["origin"]
    assert about["horizon"] == 600
    assert not {"n_steps", "label"} & origin["parameters"].keys()
    assert origin["parameters"]["h_dim"] == [32, 32]
    assert (origin["seed"], origin["device"], about["scale"]) == (1, "cpu", "paper")
    assert about["versions"]["mujoco"] == "3.4.0"
    assert about["steps_per_second"] > 0
    assert "lop.algos.rl.ppo" in origin["code"]
    assert not any(module.startswith(("lop.figures", "lop.runs", "lop.common")) for module in origin["code"])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--lr", "-1"], "command line: key `lr`: found -1, allowed: greater than 0"),
        (["--n_slices", "5"], "key `n_slices`: found 5, allowed: a divisor of bs (512)"),
        (["--scale", "lapto"], "scale: found 'lapto', allowed: laptop, paper, smoke"),
        (["-c", "cfg/ant/stt.yml"], "cfg/ant/stt.yml: no such file; did you mean std.yml?"),
        (["-s", "-3"], "seed: found -3, allowed: 0 to 4294967295"),
        (["-s", "4294967296"], "seed: found 4294967296, allowed: 0 to 4294967295"),
        (["-d", "tpu"], "device: found 'tpu', which is not available here"),
        (["-d", "meta"], "device: found 'meta', which is not available here"),
        (["--redo", "1", "--move_mean_to_bias", "1"], "key `move_mean_to_bias`: found True, allowed: False with redo"),
        (["--lerning_rate", "1"], "command line: unrecognized arguments: --lerning_rate 1; "),
        (["--decayrate", "1"], "did you mean --decay_rate? see --help"),
        (["--h_dim", "[1"], "command line: argument --h_dim: found '[1', allowed: a value as in a cfg file"),
        (["-s", "one"], "command line: argument -s/--seed: found 'one', allowed: a number, or a range such as 0-9"),
        (["--results", "/dev/null/results"], "Not a directory"),
        (["--setting", "lr=1"], "setting: found 'lr=1', allowed: default"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, refused, extra, message):
    assert message in refused(run_ppo, command(tmp_path, extra=extra)[2:])


def test_a_cfg_of_ones_own_is_checked_and_named(tmp_path):
    (tmp_path / "mine.yml").write_text("env_name: Ant-v3\nn_steps: 10\nlerning_rate: 1\n")
    process = start(tmp_path, extra=["-c", str(tmp_path / "mine.yml")])
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "mine.yml: unknown key `lerning_rate`" in errors


def test_an_edited_cfg_does_not_take_up_the_old_checkpoint(tmp_path):
    """Its runs lie elsewhere, and those of before are left as they were."""
    cfg = tmp_path / "mine.yml"
    cfg.write_text((ROOT / "lop/rl/cfg/ant/std.yml").read_text())
    run = [sys.executable, "-m", "lop.rl.run_ppo", "-c", str(cfg), "--results", str(tmp_path / "results"), *SMALL]
    subprocess.run([*run, "--n_steps", "600"], capture_output=True, check=True)
    cfg.write_text(cfg.read_text().replace("lr: 0.0001", "lr: 0.001"))
    subprocess.run([*run, "--n_steps", "700"], capture_output=True, check=True)
    made = {path.name: read_about(path) for path in tmp_path.glob("results/rl/*/*/seed-0/metrics-*.parquet")}
    assert {name: about["origin"]["parameters"]["lr"] for name, about in made.items()} == {
        "metrics-600.parquet": 0.0001,
        "metrics-700.parquet": 0.001,
    }
    assert not any(about["resumed"] for about in made.values())


class Fall(gymnasium.Wrapper):
    """A time limit of five steps; in the last of them the body falls, too, if it is to."""

    falls = False

    def __init__(self, env):
        super().__init__(gymnasium.wrappers.TimeLimit(env.unwrapped, 5))

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or (self.falls and truncated), truncated, info


@pytest.mark.parametrize("falls", [True, False])
def test_only_what_a_time_limit_cut_off_is_bootstrapped(tmp_path, monkeypatch, falls):
    make = run_ppo.make
    monkeypatch.setattr(run_ppo, "make", lambda *arguments: Fall(make(*arguments)))
    monkeypatch.setattr(Fall, "falls", falls)
    tables = []
    for bootstrap in ("0", "1"):
        results = tmp_path / bootstrap
        run = ["-c", str(ROOT / "lop/rl/cfg/ant/std.yml"), *SMALL, "--n_steps", "1100", "--results", str(results)]
        main(run_ppo.PROBLEM, "", run_ppo.train, [*run, "--bootstrap_time_limit", bootstrap])
        (path,) = results.glob("rl/*/*/seed-0/metrics-1100.parquet")
        tables.append(pq.read_table(path))
    assert tables[0].equals(tables[1]) == falls


def test_help_explains_every_key():
    text = subprocess.check_output([sys.executable, "-m", "lop.rl.run_ppo", "--help"], text=True)
    for words in ("--lr VALUE", "step size of Adam", "(default 0.0001)", "--rr VALUE", "results/rl"):
        assert words in text


def test_a_run_dies_with_what_started_it(tmp_path):
    """A killed Snakemake leaves no run behind that goes on for days."""
    run = command(tmp_path, extra=["--die-with-parent"])
    starter = f"import subprocess, time; subprocess.Popen({run!r}); time.sleep(99)"
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT / "lop/rl", stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("rl/*/*/*/checkpoint.pt")):
        time.sleep(0.1)
    os.kill(parent.pid, signal.SIGKILL)
    assert "stopped and saved at" in parent.stderr.read()  # ends when the run has closed its end of the pipe
    parent.wait()
