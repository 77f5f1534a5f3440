"""Run Stable-Baselines3's PPO on our environments with the network and batch sizes of the paper, to check our PPO.

    pip install stable-baselines3==2.9.2
    python benchmarks/sb3.py Hopper-v3 --seeds 0 1 2 --steps 1000000

This writes the return and the length of every episode to results/sb3/<env>/seed-<seed>.parquet, with the columns of a
run's metrics. Networks, batches, epochs, step size, discount and clipping are those of lop/rl/cfg/hopper/std.yml.
Everything else has the library's defaults: orthogonal weights, a small last layer, clipped gradients and actions, and
bootstrapping at time limits. With `--as-published` these follow the paper too, including Adam's epsilon, and the files
are in results/sb3_as_published. In either case the library normalises advantages per minibatch, whereas the code of
the paper normalises them per batch.
"""

import argparse

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

import lop.envs  # registers the environments
from lop.common.paths import PROJECT
from lop.runs.configured import configured
from lop.runs.metrics import MetricsLog, write_metrics


class Episodes(BaseCallback):
    """Log the return and length of every episode at its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.log = MetricsLog()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.log.log("return", self.num_timesteps, float(info["episode"]["r"]))
                self.log.log("episode_length", self.num_timesteps, int(info["episode"]["l"]))
        return True


class AsPublished(gymnasium.Wrapper):
    """Environment with practically unbounded actions, whose time limits terminate an episode like a fall."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-1000, 1000, env.action_space.shape, np.float32)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or truncated, False, info


def lecun(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Linear):
        bound = (3 / module.in_features) ** 0.5
        torch.nn.init.uniform_(module.weight, -bound, bound)
        torch.nn.init.zeros_(module.bias)


def train(env_name: str, seed: int, steps: int, as_published: bool) -> None:
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(env_name))
    env.reset(seed=seed)
    networks = {"net_arch": {"pi": [256, 256], "vf": [256, 256]}, "activation_fn": torch.nn.ReLU}
    settings = {"learning_rate": 1e-4, "n_steps": 2048, "batch_size": 128, "policy_kwargs": networks}
    if as_published:
        env = AsPublished(env)
        networks |= {"ortho_init": False, "optimizer_kwargs": {"eps": 1e-8}}
        settings |= {"max_grad_norm": 1e9, "vf_coef": 1.0}
    learner = PPO("MlpPolicy", env, seed=seed, device="cpu", **settings)
    if as_published:
        learner.policy.apply(lecun)
    episodes = Episodes()
    learner.learn(steps, callback=episodes)
    results = PROJECT / configured().results / ("sb3_as_published" if as_published else "sb3")
    path = results / env_name / f"seed-{seed}.parquet"
    write_metrics(path, episodes.log, {"name": f"Stable-Baselines3 PPO {env_name} seed {seed}", "horizon": steps})
    print(f"{path}: last 100 episodes {np.mean(episodes.log.recent('return', 100)):.0f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env_name", choices=sorted(lop.envs.ENVIRONMENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--as-published", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        train(arguments.env_name, seed, arguments.steps, arguments.as_published)
