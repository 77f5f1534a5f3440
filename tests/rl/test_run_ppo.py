"""Whole PPO runs: resumption, metrics and the command line. tests/runs/test_killing.py kills runs."""

import importlib

import gymnasium
import numpy as np
import pyarrow.parquet as pq
import pytest
from interrupted import InterruptedRun, goes_on_after_a_cut
from refusals import error_line, names, refusal
from scripts import metrics_file, run, started

from lop.common.paths import ROOT
from lop.problems import PROBLEMS
from lop.rl import run_ppo
from lop.runs.metrics import read_about
from lop.runs.spec import resolve

SMALL = ["--bs", "512", "--n_slices", "4", "--h_dim", "[32, 32]", "--mt", "50", "--rr", "0.01"]


def arguments(results, *more, config="cbp", seed=1):
    return ["-c", f"cfg/ant/{config}.yml", "-s", seed, "--results", results, *SMALL, *more]


def table_of(results, *more, **which):
    run(run_ppo, *arguments(results, *more, **which))
    return pq.read_table(metrics_file(results, which.get("seed", 1)))


def test_script_trains(tmp_path):
    with started(run_ppo, *arguments(tmp_path, "--n_steps", "1")) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert read_about(metrics_file(tmp_path, 1))["horizon"] == 1


CUT = {"n_steps": 1100, "bs": 128, "n_itrs": 5, "n_slices": 4, "h_dim": [32, 32], "mt": 5, "rr": 0}
REPLACING = {"rr": 0.05}
METHODS = {
    "standard, Hopper": ("std", {"env_name": "Hopper-v3"}),
    "reference, Ant": ("ns", {"engine": "reference"}),
    "non-stationary Adam, Walker2d": ("ns", {"env_name": "Walker2d-v3", "act_type": "Tanh"}),
    "L2, updates at episode ends": ("l2", {"h_dim": [256, 256], "u_epi_ups": True, "bs": 32}),
    "continual backpropagation": ("cbp", REPLACING),
    "random utility": ("cbp", REPLACING | {"util_type_pol": "random"}),
    "bootstrapped time limits": ("cbp", REPLACING | {"bootstrap_time_limit": True, "move_mean_to_bias": True}),
    "reference, continual backpropagation": ("cbp", REPLACING | {"engine": "reference"}),
    "ReDo": ("cbp", REPLACING | {"redo": True, "reset_period": 7, "threshold": 0.2}),
}


@pytest.mark.parametrize("method", METHODS)
def test_run_interrupted_within_an_episode_and_at_its_end_resumes_exactly(method, tmp_path, monkeypatch):
    config, overrides = METHODS[method]
    spec = resolve(PROBLEMS["rl"], f"ant/{config}", 1, "paper", overrides=CUT | overrides)
    p = spec.parameters
    limit = 50 if p.bootstrap_time_limit else 100  # steps per episode
    limit_episodes(monkeypatch, limit)
    monkeypatch.setattr(run_ppo, "RANK_EVERY", run_ppo.WINDOW)
    runs, replaced_at = [], []
    agent = importlib.import_module(p.engines[p.engine_on("cpu")]).Agent
    learn = agent.learn

    def noted(self):
        metrics = learn(self)
        replaced_at.extend([runs[-1].step] * bool(metrics["policy_units_replaced"] and metrics["value_units_replaced"]))
        return metrics

    monkeypatch.setattr(agent, "learn", noted)

    def run_in(name):
        runs.append(InterruptedRun(spec, tmp_path / name))
        return runs[-1]

    def saved_at(table):
        rows = table.to_pandas()
        lengths = rows[rows["metric"] == "episode_length"].set_index("step")["value"]
        within = lengths[(lengths.index - lengths >= 500) & (lengths.index < 1000 - p.bs)]
        end, length = int(within.idxmax()), int(within.max())
        middle = end - length // 2
        assert length >= 4
        # With u_epi_ups, a full buffer waits for the end of the episode; otherwise it is partly full.
        assert length // 2 > p.bs if p.u_epi_ups else middle % p.bs
        assert not p.bootstrap_time_limit or length == limit
        if p.replaces_policy_units:
            assert replaced_at[0] < middle < end < replaced_at[-1]
        return middle, end

    goes_on_after_a_cut(run_ppo.train, run_in, saved_at)


def limit_episodes(monkeypatch, steps):
    make = run_ppo.make
    monkeypatch.setattr(
        run_ppo, "make", lambda *which, **more: gymnasium.wrappers.TimeLimit(make(*which, **more).unwrapped, steps)
    )


def test_run_logs_its_metrics_at_the_expected_steps(tmp_path):
    rows = table_of(tmp_path, "--n_steps", "10000", "--n_itrs", "1", "--env_name", "Hopper-v3").to_pandas()
    by_metric = rows.groupby("metric", observed=True)
    assert {metric: sorted(set(layers.dropna())) for metric, layers in by_metric["layer"]} == {
        "return": [],
        "episode_length": [],
        "dormant_units": [0, 1],
        "stable_rank": [1],
        "policy_weight_magnitude": [0, 1, 2],
        "value_weight_magnitude": [0, 1, 2],
    }
    steps = {metric: list(found) for metric, found in by_metric["step"]}
    assert steps["stable_rank"] == [10_000]
    assert sorted(set(steps["policy_weight_magnitude"])) == list(range(0, 10_001, 1000))
    assert sorted(set(steps["dormant_units"])) == list(range(1000, 10_001, 1000))
    wide = rows.pivot_table(index="step", columns="metric", values="value", observed=True)
    lengths = wide["episode_length"].dropna()
    assert list(lengths.cumsum()) == list(lengths.index)
    assert wide["dormant_units"].dropna().between(0, 1).all()
    assert (wide["policy_weight_magnitude"].dropna() > 0).all()


def test_compiled_engine_is_refused_on_another_device():
    p = resolve(PROBLEMS["rl"], "ant/std", 0, "paper", overrides={"engine": "compiled"}).parameters
    with refusal("engine", "compiled", "cuda:1", "auto", "reference"):
        run_ppo.make_agent(p, 27, 8, 0, np.random.default_rng(0), "cuda:1")


def test_run_is_determined_by_its_seed(tmp_path):
    first, again, other = (
        table_of(tmp_path / name, "--n_steps", "600", seed=seed) for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_metrics_file_contains_the_origin_of_its_run(tmp_path):
    run(run_ppo, *arguments(tmp_path, "--n_steps", "600", "--label", "mine"))
    about = read_about(metrics_file(tmp_path, 1))
    origin = about["origin"]
    assert about["horizon"] == 600
    assert not {"n_steps", "label"} & origin["parameters"].keys()
    assert origin["parameters"]["h_dim"] == [32, 32]
    assert (origin["seed"], origin["device"], about["scale"]) == (1, "cpu", "paper")
    assert about["versions"]["mujoco"] == "3.2.7"
    assert about["steps_per_second"] > 0
    assert origin["parameters"]["engine"] == "compiled"
    assert "lop.engines.ppo.kernels" in origin["code"]
    assert "lop.algos.rl.ppo" not in origin["code"]
    assert not any(module.startswith(("lop.figures", "lop.runs", "lop.common")) for module in origin["code"])


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        (["--lr", "-1"], ["lr", -1, 0]),
        (["--n_slices", "5"], ["n_slices", 5, "bs", 512]),
        (["--scale", "lapto"], ["scale", "lapto", "laptop", "paper", "smoke"]),
        (["-c", "cfg/ant/stt.yml"], ["cfg/ant/stt.yml", "std.yml"]),
        (["-s", "-3"], ["seed", -3, 0, 4294967295]),
        (["-s", "4294967296"], ["seed", 4294967296, 0, 4294967295]),
        (["-d", "tpu"], ["device", "tpu"]),
        (["-d", "meta"], ["device", "meta"]),
        (["--redo", "1", "--move_mean_to_bias", "1"], ["move_mean_to_bias", True, "redo"]),
        (["--lerning_rate", "1"], ["--lerning_rate"]),
        (["--decayrate", "1"], ["--decayrate", "--decay_rate"]),
        (["--h_dim", "[1"], ["--h_dim", "[1"]),
        (["-s", "one"], ["--seed", "one"]),
        (["--results", "/dev/null/results"], ["/dev/null"]),
        (["--setting", "lr=1"], ["setting", "lr=1", "default"]),
    ],
)
def test_invalid_input_gives_a_one_line_error_and_exit_status_2(more, facts, tmp_path, capsys):
    names(error_line(capsys, run, run_ppo, *arguments(tmp_path, *more)), *facts)


def test_misspelt_key_in_a_user_cfg_file_is_rejected(tmp_path, capsys):
    (tmp_path / "mine.yml").write_text("env_name: Ant-v3\nn_steps: 10\nlerning_rate: 1\n")
    names(error_line(capsys, run, run_ppo, "-c", tmp_path / "mine.yml"), "mine.yml", "lerning_rate")


def test_edited_cfg_file_starts_a_new_run(tmp_path):
    cfg, results = tmp_path / "mine.yml", tmp_path / "results"
    text = (ROOT / "lop/rl/cfg/ant/std.yml").read_text()
    for steps, content in ((60, text), (70, text.replace("lr: 0.0001", "lr: 0.001"))):
        cfg.write_text(content)
        run(run_ppo, "-c", cfg, "--results", results, "--n_steps", steps)
    made = {path.name: read_about(path) for path in results.glob("rl/*/*/seed-0/metrics-*.parquet")}
    assert {name: about["origin"]["parameters"]["lr"] for name, about in made.items()} == {
        "metrics-60.parquet": 0.0001,
        "metrics-70.parquet": 0.001,
    }
    assert not any(about["resumed"] for about in made.values())


class Fall(gymnasium.Wrapper):
    """End episodes after five steps by a time limit; if `falls`, also by a fall in the same step."""

    falls = False

    def __init__(self, env):
        super().__init__(gymnasium.wrappers.TimeLimit(env.unwrapped, 5))

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or (self.falls and truncated), truncated, info


@pytest.mark.parametrize("falls", [True, False])
def test_only_states_truncated_by_a_time_limit_are_bootstrapped(falls, tmp_path, monkeypatch):
    make = run_ppo.make
    monkeypatch.setattr(run_ppo, "make", lambda *which: Fall(make(*which)))
    monkeypatch.setattr(Fall, "falls", falls)
    without, bootstrapped = (
        table_of(tmp_path / value, "--n_steps", "1100", "--bootstrap_time_limit", value, config="std")
        for value in ("0", "1")
    )
    assert without.equals(bootstrapped) == falls


def test_help_explains_every_parameter(capsys):
    with pytest.raises(SystemExit) as ended:
        run(run_ppo, "--help")
    assert not ended.value.code
    shown = without_spaces(capsys.readouterr().out)
    for key, field in run_ppo.PROBLEM.model.model_fields.items():
        assert without_spaces(f"--{key} VALUE {field.description}") in shown
    assert without_spaces("step size of Adam (default 0.0001)") in shown


def without_spaces(text):
    return "".join(text.split())
