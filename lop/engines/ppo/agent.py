"""Compiled counterpart of `lop.algos.rl.agent.Agent` for networks with two hidden layers, on the CPU.

It does not import PyTorch. With the same seed, both agents draw the same initial weights, actions and weights of new
units, and learn the same up to rounding. The exception is units of equal utility: the compiled agent replaces the
first of them, PyTorch an arbitrary one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lop.algos.rl.advantages import advantage_estimates, explained_variance, normalised
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.settings import NetworkSettings, PPOSettings, UnitReplacement, check
from lop.algos.utilities import UTILITIES
from lop.engines import generator
from lop.engines.activations import ACTIVATIONS
from lop.engines.ppo import kernels
from lop.nets.numerics import gain, uniform_bound

SUPPORTED = ("relu", "tanh", "sigmoid", "elu")
INITS = ("default", "kaiming", "lecun", "xavier")


class Agent:
    """Gaussian policy and value function, trained by PPO with Adam.

    Args:
        o_dim: size of an observation.
        a_dim: size of an action, at most 15.
        network: settings of both networks: two hidden layers; ReLU, tanh, sigmoid or ELU; any init except `orthogonal`.
        settings: settings of PPO, with `perturb_scale` 0.
        seed: seed of the generator from which initial weights, actions and weights of new units are drawn.
        rng: generator that shuffles minibatches.

    Raises:
        ValueError: If the compiled agent does not support a setting.
    """

    callbacks: tuple[()] = ()  # compiled code cannot call them

    def __init__(
        self,
        o_dim: int,
        a_dim: int,
        network: NetworkSettings,
        settings: PPOSettings,
        seed: int,
        rng: np.random.Generator,
    ):
        activation = network.activation.lower()
        check("hidden", network.hidden, len(network.hidden) == 2, "two layers")
        check("activation", network.activation, activation in SUPPORTED, f"one of {', '.join(SUPPORTED)}")
        check("init", network.init, network.init in INITS, f"one of {', '.join(INITS)}")
        check("perturb_scale", settings.perturb_scale, settings.perturb_scale == 0, "0")
        divides = settings.num_steps % settings.num_minibatches == 0
        check("num_minibatches", settings.num_minibatches, divides, f"a divisor of num_steps, {settings.num_steps}")
        check("a_dim", a_dim, a_dim < generator.VECTORISED, f"below {generator.VECTORISED}")
        self.settings, self.rng = settings, rng
        self.buffer = Buffer(o_dim, a_dim, settings.num_steps)
        self.activation = ACTIVATIONS.index(activation)
        first, second = network.hidden
        self.sizes = kernels.Sizes(o_dim, first, second, a_dim)
        self.hidden_units = network.hidden  # of each layer of the policy
        self.words, self.spare = generator.seeded(seed), np.zeros(2)
        self._draw_parameters(network)
        self.moments, self.squares = np.zeros_like(self.parameters), np.zeros_like(self.parameters)
        self.steps = np.zeros(1, np.int64)
        self.policy_units, self.value_units = _units(network), _units(network)
        self._numbers = _numbers(settings)
        self._rules = [
            _rule(replacement, o_dim, network)
            for replacement in (settings.policy_replacement, settings.value_replacement)
        ]
        self._observation = np.zeros(o_dim, np.float32)

    def _draw_parameters(self, network: NetworkSettings) -> None:
        """Draw the numbers that creating `MLPPolicy` and `MLPVF` draws from PyTorch's generator."""
        inputs, *hidden, actions = self.sizes
        size = sum(n_in * n_out + n_out for out in (actions, 1) for n_in, n_out in pairwise((inputs, *hidden, out)))
        self.parameters = np.zeros(size + actions, np.float32)  # log_std is 0
        for layers in self.layers(self.parameters).values():
            built = [generator.built_linear(self.words, *weights.shape) for weights, _ in layers]
            for index, ((weights, biases), (default, default_biases)) in enumerate(zip(layers, built, strict=True)):
                last = index == len(layers) - 1
                if network.init == "default":
                    weights[...], biases[...] = default.T, 0 if last else default_biases
                    continue
                fan_in, fan_out = weights.shape
                bound = uniform_bound(fan_in, fan_out, network.init, 1.0 if last else gain(network.activation))
                drawn = np.empty(weights.size, np.float32)
                generator.uniform(self.words, drawn, bound)
                weights[...] = drawn.reshape(weights.shape[::-1]).T

    def layers(self, flat: np.ndarray) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Return views of all layers' weights and biases.

        Args:
            flat: array of all parameters, or of values with the same layout.

        Returns:
            Weights (inputs, outputs) and biases (outputs,), one pair per layer, of `policy` and `value`.
        """
        inputs, *hidden, actions = self.sizes
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"policy": [], "value": []}
        start = 0
        for layers, outputs in zip(found.values(), (actions, 1), strict=True):
            for n_in, n_out in pairwise((inputs, *hidden, outputs)):
                end = start + n_in * n_out
                layers.append((flat[start:end].reshape(n_in, n_out), flat[end : end + n_out]))
                start = end + n_out
        return found

    def act(self, observation: np.ndarray, hidden: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
        """Draw an action.

        Args:
            observation: observation (o_dim,).
            hidden: arrays (units,) float32, one per hidden layer, which receive the policy's activations.

        Returns:
            The action (a_dim,) and its log probability.
        """
        if tuple(map(len, hidden)) != self.sizes[1:3]:  # compiled code does not check
            raise ValueError(f"hidden must have the lengths {self.sizes[1:3]}, got {tuple(map(len, hidden))}")
        self._observation[:] = observation
        action = np.empty(self.sizes.actions, np.float32)
        log_probability = kernels.act(
            self.activation, self.sizes, self.parameters, self._observation, self.words, self.spare, *hidden, action
        )
        return action, log_probability

    def value(self, observation: np.ndarray) -> float:
        """Return the value of an observation (o_dim,)."""
        return float(self._values(np.asarray(observation, np.float32)[None])[0])

    def _values(self, observations: np.ndarray) -> np.ndarray:
        return kernels.values(self.activation, self.sizes, self.parameters, observations)

    def learn(self) -> dict[str, float]:
        """Update the networks from the full buffer and empty it; see `lop.algos.rl.ppo.PPOLearner.learn`."""
        s, buffer = self.settings, self.buffer
        values = self._values(np.concatenate((buffer.observations, buffer.next_observation)))
        advantages = advantage_estimates(buffer.rewards, buffer.dones, values, s.gamma, s.gae_lambda)
        returns = advantages + values[:-1]
        if s.norm_adv:
            advantages = normalised(advantages)
        live = _live_columns(buffer.observations)
        observations = np.ascontiguousarray(buffer.observations[:, :live])
        weights_before = [weights.copy() for weights, _ in self.layers(self.parameters)["policy"]]
        policy_rule, value_rule = self._rules
        diagnostics = kernels.update(
            self.activation,
            self.sizes,
            self._numbers,
            self.parameters,
            self.moments,
            self.squares,
            self.steps,
            (observations, buffer.actions, buffer.log_probabilities, advantages, returns),
            np.stack([self.rng.permutation(s.num_steps) for _ in range(s.update_epochs)]),
            (_replaces(s.policy_replacement), _replaces(s.value_replacement)),
            policy_rule,
            value_rule,
            self.policy_units,
            self.value_units,
            self.words,
        )
        buffer.clear()
        after = (weights for weights, _ in self.layers(self.parameters)["policy"])
        change = sum(float(np.abs(new - old).sum()) for new, old in zip(after, weights_before, strict=True))
        return {
            "weight_change": change,
            **dict(zip(kernels.MEANS + kernels.COUNTS, diagnostics.tolist(), strict=True)),
            "explained_variance": explained_variance(values[:-1], returns),
        }

    def weights(self) -> dict[str, list[np.ndarray]]:
        """Return the weights (inputs, outputs) of both networks, `policy` and `value`, one array per layer."""
        return {name: [weights for weights, _ in layers] for name, layers in self.layers(self.parameters).items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state."""
        return {
            **{name: getattr(self, name) for name in self._arrays},
            "policy_units": self.policy_units._asdict(),
            "value_units": self.value_units._asdict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in self._arrays:
            getattr(self, name)[...] = state[name]
        for units, saved in ((self.policy_units, state["policy_units"]), (self.value_units, state["value_units"])):
            for name, array in units._asdict().items():
                array[...] = saved[name]
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]

    _arrays = ("parameters", "moments", "squares", "steps", "words", "spare")


def _units(network: NetworkSettings) -> kernels.Units:
    n = sum(network.hidden)
    return kernels.Units(
        np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(1, np.int64)
    )


def _numbers(s: PPOSettings) -> kernels.Numbers:
    return kernels.Numbers(
        minibatch=s.num_steps // s.num_minibatches,
        clip=np.inf if s.clip_coef is None else float(s.clip_coef),
        normalises=s.norm_adv_minibatch,
        max_norm=np.inf if s.max_grad_norm is None else float(s.max_grad_norm),
        lr=float(s.learning_rate),
        beta_1=float(s.betas[0]),
        beta_2=float(s.betas[1]),
        eps=float(s.eps),
        weight_decay=float(s.weight_decay),
    )


def _replaces(settings: UnitReplacement | None) -> bool:
    return settings is not None and (settings.algorithm == "redo" or settings.replacement_rate > 0)


def _rule(settings: UnitReplacement | None, o_dim: int, network: NetworkSettings) -> kernels.Rule:
    s = settings or UnitReplacement()
    utility, first, second = UTILITIES[s.util_type], *network.hidden
    return kernels.Rule(
        redo=s.algorithm == "redo",
        rate=float(s.replacement_rate),
        decay=float(s.decay_rate),
        maturity=float(s.maturity_threshold),
        activity=utility.activity,
        outgoing=utility.outgoing,
        incoming=utility.incoming,
        centred=utility.centred,
        random=s.util_type == "random",
        tracks_mean=utility.centred or s.move_mean_to_bias,
        moves_mean=s.move_mean_to_bias,
        clears=s.clear_optimizer_state,
        threshold=float(s.threshold),
        period=s.reset_period,
        bound_1=uniform_bound(o_dim, first, s.init, gain(network.activation)),
        bound_2=uniform_bound(first, second, s.init, gain(network.activation)),
    )


def _live_columns(observations: np.ndarray) -> int:
    """Return the number of columns up to the last one with a non-zero value."""
    used = np.flatnonzero(observations.any(0))
    return int(used[-1]) + 1 if len(used) else 1
