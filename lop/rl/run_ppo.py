"""One run of PPO on a continuous-control environment.

    python run_ppo.py -c cfg/ant/std.yml -s 0

trains with the parameters of that cfg file and seed, shows how far it is, and writes
its metrics to a file below results/rl in the project. Interrupt it whenever you like, with
Ctrl-C, kill or a power cut: the same command goes on where it stopped, with the very numbers of an uninterrupted run.
"""

from functools import partial
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces

from lop.algos.adam import LeanAdam
from lop.algos.method import make as make_method
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO
from lop.envs import ResumableEnvironment, SlipperyAnt, make
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF
from lop.plasticity import dormant_share, stable_rank, weight_magnitude
from lop.rl import PROBLEM
from lop.rl.frictions import Frictions, drawn
from lop.rl.parameters import SLIPPERY, PPOParameters
from lop.runs.protocol import Run

WINDOW = 1000  # steps over which activity is measured, and between two measurements
RANK_EVERY = 10_000  # steps between two stable ranks


def train(run: Run) -> None:
    p: PPOParameters = run.parameters

    # Seed: the published code's derivation, so that a seed gives its initial weights.
    torch.manual_seed(np.random.RandomState(run.seed).randint(1, 2**31 - 1))
    rng = np.random.default_rng(run.seed)

    # Environment
    sequence = run.inputs.get("frictions") or drawn(run.seed, p.most_frictions)
    frictions = Frictions(sequence, p.change_time) if p.env_name == SLIPPERY else None
    arguments: dict[str, Any] = {"friction": frictions.current} if frictions else {}
    env = make(p.env_name, p.backend, **arguments)
    o_dim, a_dim = spaces.flatdim(env.observation_space), spaces.flatdim(env.action_space)
    episode = Episode(env.reset(seed=run.seed)[0])

    # Networks and learner
    policy = MLPPolicy(o_dim, a_dim, act_type=p.act_type, h_dim=p.h_dim, device=run.device, init=p.init)
    value = MLPVF(o_dim, act_type=p.act_type, h_dim=p.h_dim, device=run.device, init=p.init)
    learner = make_learner(p, policy, value, Buffer(o_dim, a_dim, p.bs, run.device), rng)
    activity = Activity(p.h_dim, run.device)

    # Loop
    run.track(learner=learner, environment=ResumableEnvironment(env), episode=episode, activity=activity)
    if frictions:
        run.track(frictions=frictions)
    run.facts = lambda: mean_return(run)
    for step in run.steps(p.n_steps):
        if step == 0:
            log_weights(run, p, learner, step)
        action, log_probability = policy.sample(episode.observation, activity.rows[step % WINDOW])
        observation, reward, terminated, truncated, _ = env.step(action)
        done = terminated or truncated

        learned_reward = float(reward)
        if p.bootstrap_time_limit and truncated and not terminated:
            learned_reward += p.g * state_value(value, observation)
        update = learner.log_update(
            episode.observation, action, learned_reward, observation, log_probability, None, done
        )

        episode.add(observation, float(reward))
        if done:
            run.log("return", step + 1, episode.ret)
            run.log("episode_length", step + 1, episode.length)
            if frictions and frictions.episode_ended(step):
                cast(SlipperyAnt, env.unwrapped).set_friction(frictions.current)
            episode.start(env.reset()[0])

        if update["learned"] and "weight_change" in p.to_log:
            run.log("weight_change", step + 1, update["weight_change"])
        if (step + 1) % WINDOW == 0:
            log_activity(run, p, activity, step + 1)
            log_weights(run, p, learner, step + 1)
            if frictions:
                run.log("friction", step + 1, frictions.current)


def make_learner(p: PPOParameters, policy: MLPPolicy, value: MLPVF, buffer: Buffer, rng: np.random.Generator) -> PPO:
    """The learner that the parameters ask for, for these networks."""
    return PPO(
        policy,
        buffer,
        p.lr,
        p.g,
        value,
        p.lm,
        Opt=LeanAdam,
        device=buffer.device,
        u_epi_up=p.u_epi_ups,
        n_itrs=p.n_itrs,
        n_slices=p.n_slices,
        u_adv_scl=p.u_adv_scl,
        adv_scl_minibatch=p.adv_scl_minibatch,
        clip_eps=p.clip_eps,
        max_grad_norm=p.max_grad_norm,
        util_type_val=p.util_type_val,
        util_type_pol=p.util_type_pol,
        replacement_rate=p.rr,
        decay_rate=p.decay_rate,
        mt=p.mt,
        vgnt=p.replaces_value_units,
        pgnt=p.replaces_policy_units,
        init=p.init,
        wd=p.wd,
        perturb_scale=p.perturb_scale,
        betas=(p.beta_1, p.beta_2),
        eps=p.eps,
        no_clipping=p.no_clipping,
        redo=p.redo,
        threshold=p.threshold,
        reset_period=p.reset_period,
        move_mean_to_bias=p.move_mean_to_bias,
        clear_optimizer_state=p.clear_optimizer_state,
        rng=rng,
        method=partial(make_method, p.method, settings=p.method_settings) if p.method else None,
    )


def log_activity(run: Run, p: PPOParameters, activity: "Activity", step: int) -> None:
    """Dormant units of every layer of the policy, and every so often the stable rank of its last one."""
    if "pol_features_activity" in p.to_log:
        for layer, hidden in enumerate(activity.hidden):
            run.log("dormant_units", step, dormant_share(hidden), layer)
    if "stable_rank" in p.to_log and step % RANK_EVERY == 0:
        run.log("stable_rank", step, stable_rank(activity.hidden[-1].cpu()), len(activity.hidden) - 1)


def log_weights(run: Run, p: PPOParameters, learner: PPO, step: int) -> None:
    """Weight magnitude of every layer of both networks."""
    for key, metric, net in (
        ("pol_weights", "policy_weight_magnitude", learner.policy_net),
        ("val_weights", "value_weight_magnitude", learner.value_net),
    ):
        if key in p.to_log:
            for layer, weight in enumerate(net.weights):
                run.log(metric, step, weight_magnitude(weight), layer)


def mean_return(run: Run) -> str:
    """Of the last ten episodes, for the progress line."""
    returns = run.recent("return", 10)
    return f"mean return {np.mean(returns):,.0f}" if returns else "no episode ended yet"


@torch.no_grad()
def state_value(value: MLPVF, observation: np.ndarray) -> float:
    return float(value.value(torch.as_tensor(observation, dtype=torch.float32, device=value.device)[None]))


class Episode:
    """The episode under way: its observation (o_dim,), its return and its length in steps so far."""

    def __init__(self, observation: np.ndarray):
        self.start(observation)

    def start(self, observation: np.ndarray) -> None:
        self.observation, self.ret, self.length = observation, 0.0, 0

    def add(self, observation: np.ndarray, reward: float) -> None:
        self.observation = observation
        self.ret += reward
        self.length += 1

    def state_dict(self) -> dict:
        return {"observation": torch.from_numpy(self.observation), "ret": float(self.ret), "length": self.length}

    def load_state_dict(self, state: dict) -> None:
        self.observation = state["observation"].numpy()
        self.ret, self.length = state["ret"], state["length"]


class Activity:
    """Activations of the policy in the last 1,000 steps: `hidden` (1000, units) a layer, `rows` their rows by step."""

    def __init__(self, h_dim: list[int], device: str):
        self.hidden = [torch.zeros(WINDOW, units, device=device) for units in h_dim]
        self.rows = list(zip(*(hidden.unbind() for hidden in self.hidden), strict=True))

    def state_dict(self) -> list:
        return self.hidden

    def load_state_dict(self, state: list) -> None:
        for hidden, saved in zip(self.hidden, state, strict=True):
            hidden.copy_(saved)


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
