"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with the additions of the paper.

After every `num_steps` environment steps:

1. Estimate advantages by generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438), with gamma the
   discount, lambda `gae_lambda` and d_t = 1 where an episode ends:

       delta_t = r_t + gamma (1 - d_t) V(o_{t+1}) - V(o_t)
       A_t = delta_t + gamma lambda (1 - d_t) A_{t+1}

   Returns are A_t + V(o_t). Advantages are normalised over the batch.
2. For `update_epochs` epochs over shuffled minibatches, take a step of one Adam over both networks and log_std on

       mean(max(-ratio A, -clip(ratio, 1 - c, 1 + c) A)) + mean((return - V)^2),    ratio = pi(a|o) / pi_old(a|o)

3. After each such step, apply continual backpropagation (`lop.algos.gnt`) or ReDo (`lop.algos.redo`) to both networks.

As in the published code there is no entropy bonus, and a time limit ends an episode like a fall does.

`PPOLearner` works with any networks, on any device. `lop.engines.ppo` computes the same for networks with two hidden
layers, compiled for the CPU.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lop.algos.callback import Callback
from lop.algos.gnt import GnT
from lop.algos.redo import ReDo
from lop.algos.rl.advantages import advantage_estimates, explained_variance, normalised
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.settings import PPOSettings, UnitReplacement, check
from lop.algos.shrink_and_perturb import perturb

TINY = float(np.finfo(np.float32).tiny)
NEVER_CLIPS = 1e9  # from this `max_grad_norm` of the published code on, gradients are not clipped


class PPOLearner:
    """PPO for a policy and a value network, optionally with continual backpropagation or ReDo.

    Args:
        policy: a module whose `dist(observations, to_log_features=True)` returns a `torch.distributions.Distribution`
            over actions (n, a_dim), such as `lop.nets.policies.MLPPolicy`. Unit replacement and callbacks also need its
            `mean_net` (modules in order), `act_type` and `get_activations()`.
        value_function: a module whose `value(observations, to_log_features=True)` returns values (n, 1), such as
            `lop.nets.valuefs.MLPVF`. Unit replacement and callbacks also need its `v_net`, `act_type` and
            `get_activations()`.
        buffer: transitions of the next update.
        optimizer: of the parameters of both networks.
        settings: all but the optimizer's.
        rng: shuffles minibatches.
        callback: returns a `lop.algos.callback.Callback` for each of the two networks.

    Example::

        policy, value_function, buffer = MLPPolicy(111, 8), MLPVF(111), Buffer(111, 8, 2048)
        optimizer = torch.optim.Adam([*policy.parameters(), *value_function.parameters()], lr=1e-4)
        learner = PPOLearner(policy, value_function, buffer, optimizer, PPOSettings())
        buffer.store(observation, action, reward, next_observation, log_probability, None, done)  # 2,048 times
        learner.learn()
        buffer.clear()
    """

    def __init__(
        self,
        policy: Any,
        value_function: Any,
        buffer: Buffer,
        optimizer: torch.optim.Optimizer,
        settings: PPOSettings,
        rng: np.random.Generator | None = None,
        callback: Callable[[nn.Module], Callback] | None = None,
    ):
        self.policy, self.value_function, self.buffer = policy, value_function, buffer
        self.optimizer, self.settings, self.rng = optimizer, settings, rng or np.random.default_rng()
        self.parameters = [*policy.parameters(), *value_function.parameters()]
        self.policy_units = (
            unit_replacement(policy.mean_net, policy.act_type, optimizer, settings.policy_replacement)
            if settings.policy_replacement
            else None
        )
        self.value_units = (
            unit_replacement(value_function.v_net, value_function.act_type, optimizer, settings.value_replacement)
            if settings.value_replacement
            else None
        )
        self.replaced = [0, 0]  # units of the policy, of the value network, during the last update
        self.callbacks = [callback(policy.mean_net), callback(value_function.v_net)] if callback else []

    def learn(self) -> dict[str, float]:
        """Update both networks from the full buffer.

        Returns:
            `weight_change`: L1 norm of the change of the policy's weights, and, as means over minibatches,
            `policy_loss`, `value_loss`, `approx_kl` (mean of ratio - 1 - log ratio), `clip_fraction` (of ratios that
            were clipped), `entropy` of the policy; `explained_variance` of the returns by the values before the update;
            `policy_units_replaced` and `value_units_replaced`.
        """
        observations, actions, rewards, next_observation, old_log_probs, _, dones = self.buffer.get()
        with torch.no_grad():
            values = self.value_function.value(torch.cat((observations, next_observation))).flatten()
        returns, advantages = self.returns_and_advantages(rewards.flatten(), dones.flatten(), values)
        batch = (observations, actions, old_log_probs.flatten(), advantages, returns)
        weights = [parameter for parameter in self.policy.parameters() if parameter.ndim > 1]
        weights_before = [weight.detach().clone() for weight in weights]

        diagnostics, self.replaced = [], [0, 0]
        for _ in range(self.settings.update_epochs):
            order = torch.from_numpy(self.rng.permutation(len(observations))).to(observations.device)
            for rows in order.split(len(order) // self.settings.num_minibatches):
                diagnostics.append(self._step(*(part[rows] for part in batch)))

        with torch.no_grad():
            names = ("policy_loss", "value_loss", "approx_kl", "clip_fraction", "entropy")
            found = dict(zip(names, torch.stack(diagnostics).mean(0).cpu().tolist(), strict=True))
            found["explained_variance"] = explained_variance(values[:-1].cpu().numpy(), returns.cpu().numpy())
            found["policy_units_replaced"], found["value_units_replaced"] = self.replaced
            change = sum((new - old).abs().sum() for new, old in zip(weights, weights_before, strict=True))
        return {"weight_change": float(change), **found}

    def _step(
        self, observations: Tensor, actions: Tensor, old_log_probs: Tensor, advantages: Tensor, returns: Tensor
    ) -> Tensor:
        """Take one step of the optimizer on a minibatch, apply what follows it, and return the diagnostics."""
        s = self.settings
        if s.norm_adv_minibatch:
            advantages = advantages - advantages.mean()
            advantages = advantages / advantages.std().clamp_min(TINY)
        dist = self.policy.dist(observations, to_log_features=True)
        log_ratio = dist.log_prob(actions).sum(1) - old_log_probs  # (minibatch,)
        ratio = log_ratio.exp()
        clipped = ratio if s.clip_coef is None else ratio.clamp(1 - s.clip_coef, 1 + s.clip_coef)
        policy_loss = torch.max(-ratio * advantages, -clipped * advantages).mean()
        value_loss = (returns - self.value_function.value(observations, to_log_features=True).flatten()).square().mean()
        loss = policy_loss + value_loss

        self.optimizer.zero_grad()
        loss.backward()
        for callback in self.callbacks:
            callback.before_step()
        if s.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, s.max_grad_norm)
        self.optimizer.step()
        self._after_step()
        with torch.no_grad():
            kl, clip_fraction = (ratio - 1 - log_ratio).mean(), (ratio != clipped).float().mean()
            return torch.stack((policy_loss, value_loss, kl, clip_fraction, dist.entropy().sum(1).mean()))

    @torch.no_grad()
    def _after_step(self) -> None:
        """Perturb weights, replace units and call callbacks."""
        if self.settings.perturb_scale:
            for network in (self.policy.mean_net, self.value_function.v_net):
                layers = (module for module in network if isinstance(module, nn.Linear))
                noisy = chain.from_iterable((layer.bias, layer.weight) for layer in layers)
                perturb(noisy, self.settings.perturb_scale)
        replacements = ((self.policy_units, self.policy), (self.value_units, self.value_function))
        for index, (units, network) in enumerate(replacements):
            if units:
                hidden = [h.detach() for h in network.get_activations()]
                chosen = units.replace_units(hidden)
                self.replaced[index] += sum(map(len, chosen))
        for callback, network in zip(self.callbacks, (self.policy, self.value_function), strict=False):
            callback.after_step([hidden.detach() for hidden in network.get_activations()])

    def returns_and_advantages(self, rewards: Tensor, dones: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return returns and advantages, (n,) each, of rewards (n,), episode ends (n,) and values (n + 1,)."""
        r, d, v = (x.cpu().numpy() for x in (rewards, dones, values))
        estimates = advantage_estimates(r, d, v, self.settings.gamma, self.settings.gae_lambda)
        returns = torch.from_numpy(estimates).to(values.device) + values[:-1]
        advantages = normalised(estimates) if self.settings.norm_adv else estimates
        return returns, torch.from_numpy(advantages).to(values.device)

    def state_dict(self) -> dict:
        """Return everything that the learner goes on from."""
        return {
            "policy": self.policy.state_dict(),
            "value": self.value_function.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "policy_units": self.policy_units.state_dict() if self.policy_units else None,
            "value_units": self.value_units.state_dict() if self.value_units else None,
            "callbacks": [callback.state_dict() for callback in self.callbacks],
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self.value_function.load_state_dict(state["value"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.buffer.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        if self.policy_units:
            self.policy_units.load_state_dict(state["policy_units"])
        if self.value_units:
            self.value_units.load_state_dict(state["value_units"])
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)


def unit_replacement(net: nn.Sequential, activation: str, optimizer: Any, settings: UnitReplacement) -> GnT | ReDo:
    """Return the replacement of the units of one network."""
    if settings.algorithm == "redo":
        return ReDo(
            net,
            activation,
            settings.threshold,
            settings.init,
            reset_period=settings.reset_period,
            opt=optimizer,
            clear_optimizer_state=settings.clear_optimizer_state,
        )
    return GnT(
        net,
        activation,
        optimizer,
        decay_rate=settings.decay_rate,
        replacement_rate=settings.replacement_rate,
        maturity_threshold=settings.maturity_threshold,
        util_type=settings.util_type,
        move_mean_to_bias=settings.move_mean_to_bias,
        clear_optimizer_state=settings.clear_optimizer_state,
        init=settings.init,
    )


class PPO(PPOLearner):
    """`PPOLearner` with the signature and the attributes of the published code.

    Args:
        pol, vf, buf: policy, value network and buffer. lr: step size. g: discount. lm: lambda of the advantages.
        Opt: returns an optimizer for parameters, `lr`, `weight_decay`, `betas` and `eps`, like `torch.optim.Adam`.
        u_epi_up: update only at the end of an episode. u_adv_scl: normalise advantages over the batch.
        n_itrs: epochs per update. n_slices: minibatches per epoch. no_clipping: do not clip the surrogate.
        max_grad_norm: largest norm of gradients; 0, or 1e9 and more, for no clipping.
        pgnt, vgnt: replace units of the policy, of the value network: continual backpropagation with
            `replacement_rate`, `decay_rate`, maturity threshold `mt` and utilities `util_type_pol` and `util_type_val`;
            or, if `redo`, ReDo with `threshold` and `reset_period`.
        device, loss_type: accepted as in published scripts; the device is that of the networks.
        adv_scl_minibatch, rng, callback, move_mean_to_bias, clear_optimizer_state: not in the published code; see
            `PPOSettings`, `PPOLearner` and `UnitReplacement`.

    Example::

        learner = PPO(policy, Buffer(111, 8, 2048), lr=1e-4, g=0.99, vf=value, lm=0.95, Opt=torch.optim.Adam)
        learner.log_update(o, a, r, op, log_probability, None, done)   # learns when the buffer is full
    """

    def __init__(
        self,
        pol: Any,
        buf: Buffer,
        lr: float,
        g: float,
        vf: Any,
        lm: float,
        Opt: Callable[..., Any],
        device: str = "cpu",
        u_epi_up: bool = False,
        n_itrs: int = 10,
        n_slices: int = 32,
        u_adv_scl: bool = True,
        clip_eps: float = 0.2,
        max_grad_norm: float = 1e9,
        util_type_val: str = "contribution",
        util_type_pol: str = "contribution",
        replacement_rate: float = 1e-4,
        decay_rate: float = 0.99,
        mt: int = 10000,
        vgnt: bool = False,
        pgnt: bool = False,
        init: str = "lecun",
        wd: float = 0.0,
        perturb_scale: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        no_clipping: bool = False,
        loss_type: str = "ppo",
        redo: bool = False,
        threshold: float = 0.03,
        reset_period: int = 1000,
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool = False,
        adv_scl_minibatch: bool = False,
        rng: np.random.Generator | None = None,
        callback: Callable[[nn.Module], Callback] | None = None,
    ):
        check("loss_type", loss_type, loss_type == "ppo", "'ppo'")
        check("n_slices", n_slices, 1 <= n_slices <= buf.bs, f"between 1 and the size of the buffer, {buf.bs}")
        replacement = UnitReplacement(
            "redo" if redo else "cbp",
            init,
            clear_optimizer_state,
            replacement_rate,
            decay_rate,
            mt,
            util_type_pol,
            move_mean_to_bias,
            threshold,
            reset_period,
        )
        settings = PPOSettings(
            learning_rate=lr,
            betas=betas,
            eps=eps,
            weight_decay=wd,
            gamma=g,
            gae_lambda=lm,
            num_steps=buf.bs,
            update_epochs=n_itrs,
            num_minibatches=n_slices,
            clip_coef=None if no_clipping else clip_eps,
            norm_adv=u_adv_scl,
            norm_adv_minibatch=adv_scl_minibatch,
            max_grad_norm=max_grad_norm if 0 < max_grad_norm < NEVER_CLIPS else None,
            update_at_episode_end=u_epi_up,
            perturb_scale=perturb_scale,
            policy_replacement=replacement if pgnt else None,
            value_replacement=replace(replacement, util_type=util_type_val) if vgnt else None,
        )
        optimizer = Opt([*pol.parameters(), *vf.parameters()], lr=lr, weight_decay=wd, betas=betas, eps=eps)
        super().__init__(pol, vf, buf, optimizer, settings, rng, callback)
        self.pol, self.vf, self.buf, self.opt = pol, vf, buf, optimizer
        self.pol_gnt, self.val_gnt = self.policy_units, self.value_units

    def log_update(self, o, a, r, op, logpb, dist=None, done=False) -> dict:
        """Store a transition and learn if it is time to; `learned` in the result says whether it was."""
        self.log(o, a, r, op, logpb, dist, done)
        if not self.learn_time(done):
            return {"learned": False}
        info = self.learn()
        self.post_learn()
        return {"learned": True} | info

    def log(self, o, a, r, op, logpb, dist=None, done=False) -> None:
        self.buf.store(o, a, r, op, logpb, dist, done)

    def learn_time(self, done: bool) -> bool:
        return self.buf.is_due(done, self.settings.update_at_episode_end)

    def post_learn(self) -> None:
        self.buf.clear()

    def get_rets_advs(self, rs: Tensor, dones: Tensor, vals: Tensor) -> tuple[Tensor, Tensor]:
        """Return returns and advantages, (n, 1) each, of rewards (n, 1), episode ends (n, 1) and values (n + 1,)."""
        returns, advantages = self.returns_and_advantages(rs.flatten(), dones.flatten(), vals.flatten())
        return returns.view(-1, 1), advantages.view(-1, 1)
