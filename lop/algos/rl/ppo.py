"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with what the paper adds to it.

After every `bs` environment steps:

1. advantages by generalised advantage estimation, A_t = delta_t + g lm (1 - d_t) A_{t+1} with
   delta_t = r_t + g (1 - d_t) V(o_{t+1}) - V(o_t); returns A_t + V(o_t); advantages normalised over the whole batch;
2. `n_itrs` epochs over shuffled minibatches, each one step of one Adam over both networks and log_std on
   mean(max(-ratio A, -clip(ratio, 1 - eps, 1 + eps) A)) + mean((return - V)^2), with ratio = pi(a|o) / pi_old(a|o);
3. after each such step continual backpropagation (`lop.algos.gnt`) or ReDo (`lop.algos.redo`) on both networks.

No entropy bonus, and gradient clipping so high that there is none. A time limit ends an episode like a fall does.
Both networks' gradients are computed by hand (`lop.nets.mlp.Backpropagation`).
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lop.algos.gnt import GnT
from lop.algos.method import Method
from lop.algos.redo import ReDo
from lop.algos.rl.buffer import Buffer
from lop.algos.shrink_and_perturb import perturb
from lop.nets.mlp import Backpropagation
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF

NEVER_CLIPS = 1e9  # finding out that the norm is smaller would cost a tenth of an update
HALF_LOG_2_PI = 0.5 * float(np.log(2 * np.pi))


class PPO:
    """PPO for an `MLPPolicy` and an `MLPVF`, optionally with continual backpropagation or ReDo.

    Args:
        lr: step size of the optimizer. g: discount. lm: lambda of the advantage estimates.
        Opt: makes the optimizer from parameters and `lr`, `weight_decay`, `betas`, `eps`, as `lop.algos.adam.LeanAdam`
            and `torch.optim.Adam` do.
        u_epi_up: update only at the end of an episode. u_adv_scl: normalise advantages over the batch.
        adv_scl_minibatch: normalise them over every minibatch, as Stable-Baselines3 does.
        n_itrs: epochs per update. n_slices: minibatches per epoch.
        no_clipping: leave out the clipped surrogate.
        max_grad_norm: norm that gradients are clipped to; 0, or 1e9 as published and more, for no clipping.
        wd: L2 of the optimizer. perturb_scale: standard deviation of noise added to all weights after each step.
        pgnt, vgnt: generate-and-test on the policy, on the value network, with `replacement_rate`, `decay_rate`,
            maturity threshold `mt`, utilities `util_type_pol` and `util_type_val`; ReDo instead if `redo`, with
            `threshold` and `reset_period`.
        move_mean_to_bias, clear_optimizer_state: see `lop.algos.gnt.GnT`.
        method: makes what is done to each network beside all that, a `lop.algos.method.Method`.
        rng: shuffles minibatches.

    Example::

        learner = PPO(policy, Buffer(111, 8, 2048), lr=1e-4, g=0.99, vf=value, lm=0.95, Opt=torch.optim.Adam)
        learner.log_update(o, a, r, op, log_probability, None, done)   # learns when the buffer is full
    """

    def __init__(
        self,
        pol: MLPPolicy,
        buf: Buffer,
        lr: float,
        g: float,
        vf: MLPVF,
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
        method: Callable[[nn.Module], Method] | None = None,
    ):
        if loss_type != "ppo":
            raise ValueError(f"Invalid loss_type: {loss_type!r} (allowed: ppo)")
        if redo and move_mean_to_bias:
            raise ValueError(f"Invalid move_mean_to_bias: {move_mean_to_bias} (allowed: False with redo)")
        if not 1 <= n_slices <= buf.bs:
            raise ValueError(f"Invalid n_slices: {n_slices} (allowed: 1 to the buffer's {buf.bs})")
        self.pol, self.vf, self.buf, self.device = pol, vf, buf, device
        self.g, self.lm, self.u_epi_up = g, lm, u_epi_up
        self.u_adv_scl, self.adv_scl_minibatch = u_adv_scl, adv_scl_minibatch
        self.n_itrs, self.n_slices, self.perturb_scale = n_itrs, n_slices, perturb_scale
        self.clip_eps = float("inf") if no_clipping else clip_eps
        self.max_grad_norm = max_grad_norm
        self.parameters = [*pol.parameters(), *vf.parameters()]
        self.opt = Opt(self.parameters, lr=lr, weight_decay=wd, betas=betas, eps=eps)
        self.rng = rng or np.random.default_rng()
        self.policy_net = Backpropagation(pol.mean_net, pol.act_type)
        self.value_net = Backpropagation(vf.v_net, vf.act_type)
        self.log_std_gradient = torch.zeros_like(pol.log_std)

        def unit_replacement(net, activation, utility_type):
            if redo:
                return ReDo(net, activation, threshold, init, device, reset_period, self.opt, clear_optimizer_state)
            return GnT(
                net,
                activation,
                self.opt,
                decay_rate=decay_rate,
                replacement_rate=replacement_rate,
                maturity_threshold=mt,
                util_type=utility_type,
                move_mean_to_bias=move_mean_to_bias,
                clear_optimizer_state=clear_optimizer_state,
                init=init,
                device=device,
            )

        self.pol_gnt = unit_replacement(pol.mean_net, pol.act_type, util_type_pol) if pgnt else None
        self.val_gnt = unit_replacement(vf.v_net, vf.act_type, util_type_val) if vgnt else None
        nets = {self.policy_net: pol.mean_net, self.value_net: vf.v_net}
        self.methods = [(passes, method(net)) for passes, net in nets.items()] if method else []

    def log_update(self, o, a, r, op, logpb, dist=None, done=False) -> dict:
        """Store one transition and learn if it is time to; `learned` in the answer says whether it was."""
        self.log(o, a, r, op, logpb, dist, done)
        if not self.learn_time(done):
            return {"learned": False}
        info = self.learn()
        self.post_learn()
        return {"learned": True} | info

    def log(self, o, a, r, op, logpb, dist=None, done=False) -> None:
        self.buf.store(o, a, r, op, logpb, dist, done)

    def learn_time(self, done: bool) -> bool:
        return (done or not self.u_epi_up) and len(self.buf) >= self.buf.bs

    def post_learn(self) -> None:
        self.buf.clear()

    def get_rets_advs(self, rs: Tensor, dones: Tensor, vals: Tensor) -> tuple[Tensor, Tensor]:
        """Returns and advantages, each (n, 1), of rewards (n, 1), episode ends (n, 1) and values (n + 1,)."""
        advantages = advantage_estimates(rs.flatten(), dones.flatten(), vals.flatten(), self.g, self.lm)
        returns = advantages + vals.flatten()[:-1].cpu()
        if self.u_adv_scl:
            advantages = normalised(advantages)
        return returns.view(-1, 1).to(self.device), advantages.view(-1, 1).to(self.device)

    @torch.no_grad()
    def learn(self) -> dict:
        """One update from the full buffer; `weight_change` is the policy's L1 change of weights."""
        observations, actions, rewards, next_observation, log_probabilities, _, dones = self.buf.get()
        live = _live_columns(observations)
        values = self.vf.value(torch.cat((observations, next_observation)))
        returns, advantages = self.get_rets_advs(rewards, dones, values)
        weights_before = [weight.clone() for weight in self.policy_net.weights]

        batch = torch.cat((actions, log_probabilities, advantages, returns, observations[:, :live]), 1)
        columns, minibatch = (actions.shape[1], 1, 1, 1, live), self.buf.bs // self.n_slices
        for _ in range(self.n_itrs):
            order = torch.from_numpy(self.rng.permutation(len(batch))).to(self.device)
            shuffled = batch[order].split(columns, 1)
            for parts in zip(*(part.split(minibatch) for part in shuffled), strict=True):
                self._step(*parts)

        change = sum((new - old).abs().sum() for new, old in zip(self.policy_net.weights, weights_before, strict=True))
        return {"weight_change": float(change)}

    def _step(self, actions, log_probability_old, advantage, returns, observations) -> None:
        """One optimizer step on a minibatch, and what follows it."""
        if self.adv_scl_minibatch:
            advantage = normalised(advantage)
        means = self.policy_net.forward(observations)  # (batch, a_dim)
        log_std = self.pol.log_std
        d_means = surrogate_gradients(
            means, log_std, actions, log_probability_old, advantage, self.clip_eps, self.log_std_gradient
        )
        if log_std.grad is not self.log_std_gradient:
            log_std.grad = self.log_std_gradient
        self.policy_net.backward(d_means)

        values = self.value_net.forward(observations)  # (batch, 1)
        self.value_net.backward((values - returns).mul_(2 / len(values)))

        for _, method in self.methods:
            method.before_step()
        if 0 < self.max_grad_norm < NEVER_CLIPS:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.opt.step()
        if self.perturb_scale:
            for net in (self.policy_net, self.value_net):
                perturb(chain.from_iterable(zip(net.biases, net.weights, strict=True)), self.perturb_scale)
        if self.pol_gnt:
            self.pol_gnt.gen_and_test(self.policy_net.hidden)
        if self.val_gnt:
            self.val_gnt.gen_and_test(self.value_net.hidden)
        for passes, method in self.methods:
            method.after_step(passes.hidden)

    def state_dict(self) -> dict:
        """All that `learn` depends on: networks, optimizer, unit utilities and ages, buffer, shuffling."""
        return {
            "policy": self.pol.state_dict(),
            "value": self.vf.state_dict(),
            "optimizer": self.opt.state_dict(),
            "buffer": self.buf.state_dict(),
            "rng": self.rng.bit_generator.state,
            "policy_units": self.pol_gnt.state_dict() if self.pol_gnt else None,
            "value_units": self.val_gnt.state_dict() if self.val_gnt else None,
            "methods": [method.state_dict() for _, method in self.methods],
        }

    def load_state_dict(self, state: dict) -> None:
        self.pol.load_state_dict(state["policy"])
        self.vf.load_state_dict(state["value"])
        self.opt.load_state_dict(state["optimizer"])
        self.buf.load_state_dict(state["buffer"])
        self.rng.bit_generator.state = state["rng"]
        if self.pol_gnt:
            self.pol_gnt.load_state_dict(state["policy_units"])
        if self.val_gnt:
            self.val_gnt.load_state_dict(state["value_units"])
        for (_, method), saved in zip(self.methods, state["methods"], strict=True):
            method.load_state_dict(saved)


def advantage_estimates(rewards: Tensor, dones: Tensor, values: Tensor, g: float, lm: float) -> Tensor:
    """Generalised advantage estimates (n,) of rewards (n,), episode ends (n,) and values (n + 1,), on the CPU."""
    rewards, values = rewards.double().cpu(), values.double().cpu()
    going_on = 1 - dones.double().cpu()
    deltas = (rewards + g * going_on * values[1:] - values[:-1]).tolist()
    decay = (g * lm * going_on).tolist()
    advantage, advantages = 0.0, [0.0] * len(deltas)
    for t in reversed(range(len(deltas))):
        advantages[t] = advantage = deltas[t] + decay[t] * advantage
    return torch.tensor(advantages, dtype=torch.float32)


def normalised(advantages: Tensor) -> Tensor:
    """Of mean 0 and standard deviation 1; all 0 if all are the same."""
    advantages = advantages - advantages.mean()
    std = advantages.std()
    return advantages / std if std > 0 else advantages


def surrogate_gradients(
    means: Tensor,
    log_std: Tensor,
    actions: Tensor,
    log_probability_old: Tensor,
    advantage: Tensor,
    clip_eps: float,
    log_std_gradient: Tensor,
) -> Tensor:
    """Gradients of the mean clipped surrogate loss: in the means (batch, a_dim), returned, and in `log_std` (a_dim,).

    The loss is flat where clipping binds: where the ratio of probabilities has left [1 - eps, 1 + eps] in the direction
    that the advantage asks for.
    """
    inverse_std = torch.exp(-log_std)
    z = (actions - means).mul_(inverse_std)  # (batch, a_dim)
    z_squared = z.square()
    log_norm = (log_std + HALF_LOG_2_PI).sum()
    log_probability = z_squared.sum(1, keepdim=True).mul_(-0.5).sub_(log_norm)
    ratio = log_probability.sub_(log_probability_old).exp_()  # (batch, 1)
    excess = (ratio - ratio.clamp(1 - clip_eps, 1 + clip_eps)).mul_(advantage)
    gradient = ratio.mul_(advantage).mul_(-1 / len(means)).masked_fill_(excess > 0, 0.0)  # in the log probability
    torch.sum(z_squared.sub_(1).mul_(gradient), 0, out=log_std_gradient)
    return z.mul_(inverse_std).mul_(gradient)


def _live_columns(observations: Tensor) -> int:
    """Columns up to the last one that is not zero throughout."""
    used = torch.nonzero(observations.any(0))
    return int(used[-1]) + 1 if len(used) else 1
