"""Train PPO on a continuous-control environment.

    python run_ppo.py -c cfg/ant/std.yml -s 0

trains with the parameters of a cfg file and a seed, reports progress, and writes metrics below results/rl. You can
interrupt a run at any time. The same command resumes it, with results bit-identical to those of an uninterrupted run.
"""

import importlib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium import spaces

from lop.common.errors import InputError
from lop.envs import ResumableEnvironment, SlipperyAnt, make
from lop.measures import dormant_fraction, stable_rank, weight_magnitude
from lop.rl import PROBLEM
from lop.rl.frictions import Frictions, drawn
from lop.rl.parameters import SLIPPERY, PPOParameters
from lop.runs.plugin_parameters import PLUGINS
from lop.runs.protocol import Run

WINDOW = 1000  # steps per measurement of activity
RANK_EVERY = 10_000  # steps between measurements of the stable rank


def train(run: Run) -> None:
    """Train an agent with the parameters and the seed of a run, and log its metrics."""
    p: PPOParameters = run.parameters

    # Seeds: derived as in the published code, so that a seed gives the same initial weights
    seed = np.random.RandomState(run.seed).randint(1, 2**31 - 1)
    rng = np.random.default_rng(run.seed)

    # Environment
    sequence = run.inputs.get("frictions") or drawn(run.seed, p.most_frictions)
    frictions = Frictions(sequence, p.change_time) if p.env_name == SLIPPERY else None
    arguments: dict[str, Any] = {"friction": frictions.current} if frictions else {}
    env = make(p.env_name, p.backend, **arguments)
    o_dim, a_dim = spaces.flatdim(env.observation_space), spaces.flatdim(env.action_space)
    episode = Episode(env.reset(seed=run.seed)[0])

    # Agent: networks, buffer and learner
    agent = make_agent(p, o_dim, a_dim, seed, rng, run.device)
    activity = Activity(agent.hidden_units)

    # Loop
    run.track(agent=agent, environment=ResumableEnvironment(env), episode=episode, activity=activity)
    if frictions:
        run.track(frictions=frictions)
    run.facts = lambda: mean_return(run)
    for step in run.steps(p.n_steps):
        if step == 0:
            log_weights(run, p, agent, step)
            begin_task(agent, 0)
        action, log_probability = agent.act(episode.observation, activity.rows[step % WINDOW])
        observation, reward, terminated, truncated, _ = env.step(action)
        done = terminated or truncated

        learned_reward = float(reward)
        if p.bootstrap_time_limit and truncated and not terminated:
            learned_reward += p.g * agent.value(observation)
        agent.buffer.store(episode.observation, action, learned_reward, observation, log_probability, None, done)
        if agent.buffer.is_due(done, at_episode_end=p.u_epi_ups):
            diagnostics = agent.learn()
            for metric in filter(diagnostics.__contains__, p.to_log):
                run.log(metric, step + 1, diagnostics[metric])

        episode.add(observation, float(reward))
        if done:
            run.log("return", step + 1, episode.ret)
            run.log("episode_length", step + 1, episode.length)
            if frictions and frictions.episode_ended(step):
                cast(SlipperyAnt, env.unwrapped).set_friction(frictions.current)
                begin_task(agent, frictions.number)
            episode.start(env.reset()[0])

        if (step + 1) % WINDOW == 0:
            log_activity(run, p, activity, step + 1)
            log_weights(run, p, agent, step + 1)
            if frictions:
                run.log("friction", step + 1, frictions.current)


def make_agent(p: PPOParameters, o_dim: int, a_dim: int, seed: int, rng: np.random.Generator, device: str) -> Any:
    """Create the agent of the reference or of the compiled engine; see `lop.algos.rl.agent.Agent`."""
    engine = p.engine_on(device)
    module = importlib.import_module(p.engines[engine])  # does not import the other engine
    more: dict[str, Any] = {}
    if engine == "reference":
        more = {"device": device, "plugins": {key: p.plugin(key) for key in PLUGINS}}
    elif device != "cpu":
        raise InputError(f"engine: found compiled on {device}, allowed: auto or reference")
    return module.Agent(o_dim, a_dim, p.networks(), p.ppo(), seed, rng, **more)


def begin_task(agent: Any, number: int) -> None:
    """Tell callbacks that a task begins: the run, or a friction."""
    for callback in agent.callbacks:
        callback.new_task(number)


def log_activity(run: Run, p: PPOParameters, activity: "Activity", step: int) -> None:
    """Log dormant units of each layer of the policy and, every 10,000 steps, the stable rank of the last one."""
    if "pol_features_activity" in p.to_log:
        for layer, hidden in enumerate(activity.hidden):
            run.log("dormant_units", step, dormant_fraction(hidden), layer)
    if "stable_rank" in p.to_log and step % RANK_EVERY == 0:
        run.log("stable_rank", step, stable_rank(activity.hidden[-1]), len(activity.hidden) - 1)


def log_weights(run: Run, p: PPOParameters, agent: Any, step: int) -> None:
    """Log the weight magnitude of each layer of both networks."""
    for key, network in (("pol_weights", "policy"), ("val_weights", "value")):
        if key in p.to_log:
            for layer, weights in enumerate(agent.weights()[network]):
                run.log(f"{network}_weight_magnitude", step, weight_magnitude(weights), layer)


def mean_return(run: Run) -> str:
    """Return the mean return of the last ten episodes as text for the progress line."""
    returns = run.recent("return", 10)
    return f"mean return {np.mean(returns):,.0f}" if returns else "no episode ended yet"


class Episode:
    """State of the current episode.

    Attributes:
        observation: Last observation (o_dim,).
        ret: Return so far.
        length: Number of steps so far.
    """

    def __init__(self, observation: np.ndarray):
        self.start(observation)

    def start(self, observation: np.ndarray) -> None:
        """Start an episode with its first observation."""
        self.observation, self.ret, self.length = observation, 0.0, 0

    def add(self, observation: np.ndarray, reward: float) -> None:
        """Add the observation and the reward of a step."""
        self.observation = observation
        self.ret += reward
        self.length += 1

    def state_dict(self) -> dict:
        """Return the state."""
        return {"observation": self.observation, "ret": float(self.ret), "length": self.length}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.observation = state["observation"]
        self.ret, self.length = state["ret"], state["length"]


class Activity:
    """Activations of the policy in the last 1,000 steps.

    Attributes:
        hidden: Arrays (1000, units), one per hidden layer.
        rows: Rows of these arrays, by step modulo 1,000.
    """

    def __init__(self, units_per_layer: Sequence[int]):
        self.hidden = [np.zeros((WINDOW, units), np.float32) for units in units_per_layer]
        self.rows = list(zip(*self.hidden, strict=True))

    def state_dict(self) -> list[np.ndarray]:
        """Return the arrays, which are not copied."""
        return self.hidden

    def load_state_dict(self, state: list[np.ndarray]) -> None:
        """Restore what `state_dict` returned."""
        for hidden, saved in zip(self.hidden, state, strict=True):
            hidden[...] = saved


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
