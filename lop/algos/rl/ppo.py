"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with the additions of the paper.

After every `num_steps` environment steps:

1. Compute advantages by generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438), with discount factor
   gamma, decay rate lambda (`gae_lambda`), and d_t = 1 if an episode ended at step t, else 0::

       delta_t = r_t + gamma (1 - d_t) V(o_{t+1}) - V(o_t)
       A_t = delta_t + gamma lambda (1 - d_t) A_{t+1}

   The returns are A_t + V(o_t). Advantages are normalised over the batch.
2. For `update_epochs` epochs over shuffled minibatches, update both networks and log_std with a single Adam on the
   loss::

       mean(max(-ratio A, -clip(ratio, 1 - c, 1 + c) A)) + mean((return - V)^2),    ratio = pi(a|o) / pi_old(a|o)

3. After each optimizer step, apply continual backpropagation (`lop.algos.gnt`) or ReDo (`lop.algos.redo`) to the
   networks for which it is enabled.

As in the published code, there is no entropy bonus, and time limits are treated as terminal states.

`PPOLearner` supports any networks and devices. `lop.engines.ppo` is a compiled implementation for networks with two
hidden layers on the CPU.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lop.algos.callback import Callback
from lop.algos.gnt import GnT
from lop.algos.redo import ReDo
from lop.algos.rl.advantages import advantage_estimates, explained_variance, normalised
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.settings import NEVER_CLIPS, PPOSettings, UnitReplacement, check
from lop.algos.shrink_and_perturb import perturb

TINY = float(np.finfo(np.float32).tiny)


class PPOLearner:
    """PPO for a policy and a value network, optionally with continual backpropagation or ReDo.

    Args:
        policy: module whose `dist(observations, to_log_features=True)` returns a `torch.distributions.Distribution` of
            actions (n, a_dim), such as `lop.nets.policies.MLPPolicy`. Unit replacement and callbacks also require
            `mean_net` (modules in order), `act_type` and `get_activations()`.
        value_function: module whose `value(observations, to_log_features=True)` returns values (n, 1), such as
            `lop.nets.valuefs.MLPVF`. Unit replacement and callbacks also require `v_net`, `act_type` and
            `get_activations()`.
        buffer: buffer with the transitions of the next update.
        optimizer: optimizer of the parameters of both networks.
        settings: settings of PPO; those of the optimizer are ignored.
        rng: generator that shuffles minibatches.
        callback: function that returns a `lop.algos.callback.Callback` for a network; called once for each of the two.

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
        self.replaced = [0, 0]  # units of the policy and of the value network in the last update
        self.callbacks = [callback(policy.mean_net), callback(value_function.v_net)] if callback else []
        for one in self.callbacks:
            one.optimizer = optimizer

    def learn(self) -> dict[str, float]:
        """Update both networks from the full buffer.

        Returns:
            `weight_change`, the L1 norm of the change of the policy's weights. As means over minibatches,
            `policy_loss`, `value_loss`, `approx_kl` (mean of ratio - 1 - log ratio), `clip_fraction` (fraction of
            ratios that were clipped) and `entropy` of the policy. `explained_variance` of the returns by the values
            before the update. `policy_units_replaced` and `value_units_replaced`, numbers of units.
        """
        observations, actions, rewards, next_observation, old_log_probs, _, dones = self.buffer.get()
        with torch.no_grad():
            values = self.value_function.value(torch.cat((observations, next_observation))).flatten()
        returns, advantages = self.returns_and_advantages(rewards.flatten(), dones.flatten(), values)
        batch = (observations, actions, old_log_probs.flatten(), advantages, returns)
        weights = [parameter for parameter in self.policy.parameters() if parameter.ndim > 1]
        weights_before = [weight.detach().clone() for weight in weights]

        diagnostics, self.replaced = [], [0, 0]
        for permutation in self._permutations(len(observations)):
            order = torch.from_numpy(permutation).to(observations.device)
            for rows in order.split(len(order) // self.settings.num_minibatches):
                diagnostics.append(self._step(*(part[rows] for part in batch)))

        with torch.no_grad():
            names = ("policy_loss", "value_loss", "approx_kl", "clip_fraction", "entropy")
            found = dict(zip(names, torch.stack(diagnostics).mean(0).cpu().tolist(), strict=True))
            found["explained_variance"] = explained_variance(values[:-1].cpu().numpy(), returns.cpu().numpy())
            found["policy_units_replaced"], found["value_units_replaced"] = self.replaced
            change = sum((new - old).abs().sum() for new, old in zip(weights, weights_before, strict=True))
        return {"weight_change": float(change), **found}

    def _permutations(self, n: int) -> Iterator[np.ndarray]:
        """Yield the order of the n transitions in each epoch."""
        for _ in range(self.settings.update_epochs):
            yield self.rng.permutation(n)

    def _step(
        self, observations: Tensor, actions: Tensor, old_log_probs: Tensor, advantages: Tensor, returns: Tensor
    ) -> Tensor:
        """Take one optimizer step on a minibatch, run `_after_step`, and return the diagnostics."""
        s = self.settings
        if s.norm_adv_minibatch:
            advantages = advantages - advantages.mean()
            if len(advantages) > 1:
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
                layers = (module for module in network.modules() if isinstance(module, nn.Linear))
                noisy = (p for layer in layers for p in (layer.bias, layer.weight) if p is not None)
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
        """Compute returns and advantages.

        Args:
            rewards: rewards (n,).
            dones: episode ends (n,).
            values: values (n + 1,) of the observations, including the one after the last transition.

        Returns:
            Returns (n,) and advantages (n,).
        """
        r, d, v = (x.cpu().numpy() for x in (rewards, dones, values))
        estimates = advantage_estimates(r, d, v, self.settings.gamma, self.settings.gae_lambda)
        returns = torch.from_numpy(estimates).to(values.device) + values[:-1]
        advantages = normalised(estimates) if self.settings.norm_adv else estimates
        return returns, torch.from_numpy(advantages).to(values.device)

    def state_dict(self) -> dict:
        """Return the complete state, except that of PyTorch's generators."""
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
    """Create continual backpropagation or ReDo for one network."""
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

    Arguments after `reset_period` are not in the published code; see `UnitReplacement`, `PPOSettings` and `PPOLearner`.
    With `rng=None`, NumPy's global generator shuffles minibatches, as in the published code; its state is not part of
    `state_dict`.

    Args:
        pol: policy.
        buf: buffer.
        lr: step size.
        g: discount factor gamma.
        vf: value network.
        lm: decay rate lambda of the advantage estimates.
        Opt: function that returns an optimizer for parameters, `lr`, `weight_decay`, `betas` and `eps`, such as
            `torch.optim.Adam`.
        device: ignored; the device is that of the networks.
        u_epi_up: update only at the end of an episode.
        n_itrs: epochs per update.
        n_slices: minibatches per epoch.
        u_adv_scl: normalise advantages over the batch.
        clip_eps: the probability ratio is clipped to [1 - clip_eps, 1 + clip_eps].
        max_grad_norm: maximum norm of the gradients; 0, or 1e9 and above, disables clipping.
        util_type_val: utility of the value network's units; see `lop.algos.utilities`.
        util_type_pol: utility of the policy's units.
        replacement_rate: replacement rate of continual backpropagation.
        decay_rate: decay rate of the running utilities.
        mt: maturity threshold in optimizer steps.
        vgnt: replace units of the value network.
        pgnt: replace units of the policy.
        init: distribution of weights of new units.
        wd: weight decay of the optimizer.
        perturb_scale: standard deviation of the noise added to all weights after each optimizer step.
        betas: decay rates of the optimizer's moments.
        eps: epsilon of the optimizer.
        no_clipping: do not clip the surrogate.
        loss_type: `ppo`.
        redo: replace units by ReDo instead of continual backpropagation.
        threshold: threshold of ReDo.
        reset_period: optimizer steps between two resets of ReDo.

    Raises:
        ValueError: If an argument is out of range.

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
        self.uses_global_rng = rng is None
        self.pol, self.vf, self.buf, self.opt = pol, vf, buf, optimizer
        self.pol_gnt, self.val_gnt = self.policy_units, self.value_units

    def _permutations(self, n: int) -> Iterator[np.ndarray]:
        if not self.uses_global_rng:
            yield from super()._permutations(n)
            return
        order = np.arange(n)
        for _ in range(self.settings.update_epochs):
            np.random.shuffle(order)  # noqa: NPY002 (published: the order of the previous epoch, by the global generator)
            yield order

    def log_update(self, o, a, r, op, logpb, dist=None, done=False) -> dict:
        """Store a transition, and learn if an update is due.

        Returns:
            `learned`, whether an update took place; after an update, also the diagnostics of `learn`.
        """
        self.log(o, a, r, op, logpb, dist, done)
        if not self.learn_time(done):
            return {"learned": False}
        info = self.learn()
        self.post_learn()
        return {"learned": True} | info

    def log(self, o, a, r, op, logpb, dist=None, done=False) -> None:
        """Store a transition; see `lop.algos.rl.buffer.Buffer.store`."""
        self.buf.store(o, a, r, op, logpb, dist, done)

    def learn_time(self, done: bool) -> bool:
        """Return whether an update is due."""
        return self.buf.is_due(done, self.settings.update_at_episode_end)

    def post_learn(self) -> None:
        """Empty the buffer."""
        self.buf.clear()

    def get_rets_advs(self, rs: Tensor, dones: Tensor, vals: Tensor, device: str = "cpu") -> tuple[Tensor, Tensor]:
        """Compute returns and advantages as columns.

        Args:
            rs: rewards (n, 1).
            dones: episode ends (n, 1).
            vals: values (n + 1,) or (n + 1, 1).
            device: ignored.

        Returns:
            Returns (n, 1) and advantages (n, 1).
        """
        returns, advantages = self.returns_and_advantages(rs.flatten(), dones.flatten(), vals.flatten())
        return returns.view(-1, 1), advantages.view(-1, 1)
