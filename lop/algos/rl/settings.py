"""Settings of PPO agents, shared by the reference (`lop.algos.rl`) and the compiled engine (`lop.engines.ppo`)."""

from dataclasses import dataclass
from typing import Any, Literal

from lop.algos.utilities import UTILITIES

NEVER_CLIPS = 1e9  # with this `max_grad_norm`, the published default, or a larger one, gradients are not clipped


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of the policy and the value network, which differ only in their outputs."""

    hidden: tuple[int, ...] = (256, 256)  #: units of each hidden layer
    activation: str = "relu"
    init: str = "lecun"  #: see `lop.nets.initialisation`


@dataclass(frozen=True)
class UnitReplacement:
    """Settings of unit replacement after each optimizer step; see `lop.algos.gnt` and `lop.algos.redo`."""

    algorithm: Literal["cbp", "redo"] = "cbp"
    init: str = "lecun"
    clear_optimizer_state: bool = False
    # Continual backpropagation
    replacement_rate: float = 1e-4
    decay_rate: float = 0.99
    maturity_threshold: float = 10_000
    util_type: str = "contribution"
    move_mean_to_bias: bool = False
    # ReDo
    threshold: float = 0.03
    reset_period: int = 1000

    def __post_init__(self) -> None:
        check("replacement_rate", self.replacement_rate, 0 <= self.replacement_rate <= 1, "between 0 and 1")
        check("decay_rate", self.decay_rate, 0 <= self.decay_rate < 1, "at least 0 and below 1")
        check("maturity_threshold", self.maturity_threshold, self.maturity_threshold >= 0, "non-negative")
        check("util_type", self.util_type, self.util_type in UTILITIES, f"one of {', '.join(UTILITIES)}")
        check("threshold", self.threshold, self.threshold >= 0, "non-negative")
        check("reset_period", self.reset_period, self.reset_period >= 1, "positive")
        moves = self.algorithm == "redo" and self.move_mean_to_bias
        check("move_mean_to_bias", self.move_mean_to_bias, not moves, "False with redo")


@dataclass(frozen=True)
class PPOSettings:
    """Settings of proximal policy optimisation; the defaults are those of the published code."""

    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0  #: L2 regularisation of all parameters
    gamma: float = 0.99
    gae_lambda: float = 0.95
    num_steps: int = 2048  #: environment steps between two updates
    update_epochs: int = 10
    num_minibatches: int = 16  #: a remainder of num_steps forms a smaller minibatch of its own
    clip_coef: float | None = 0.2  #: None disables clipping of the surrogate
    norm_adv: bool = True  #: normalise advantages over the batch
    norm_adv_minibatch: bool = False  #: normalise advantages over each minibatch
    max_grad_norm: float | None = None  #: None disables clipping of gradients
    update_at_episode_end: bool = False  #: update at the first episode end after `num_steps` steps
    perturb_scale: float = 0.0  #: standard deviation of the noise added to all weights after each step
    policy_replacement: UnitReplacement | None = None
    value_replacement: UnitReplacement | None = None

    def __post_init__(self) -> None:
        check("learning_rate", self.learning_rate, self.learning_rate >= 0, "non-negative")
        check("betas", self.betas, all(0 <= beta < 1 for beta in self.betas), "at least 0 and below 1")
        check("eps", self.eps, self.eps > 0, "positive")
        check("weight_decay", self.weight_decay, self.weight_decay >= 0, "non-negative")
        check("gamma", self.gamma, 0 <= self.gamma <= 1, "between 0 and 1")
        check("gae_lambda", self.gae_lambda, 0 <= self.gae_lambda <= 1, "between 0 and 1")
        check("update_epochs", self.update_epochs, self.update_epochs >= 1, "positive")
        fits = 1 <= self.num_minibatches <= self.num_steps
        check("num_minibatches", self.num_minibatches, fits, f"between 1 and num_steps, {self.num_steps}")
        check("clip_coef", self.clip_coef, self.clip_coef is None or self.clip_coef >= 0, "non-negative or None")
        norm = self.max_grad_norm
        check("max_grad_norm", norm, norm is None or norm >= 0, "non-negative or None")
        check("perturb_scale", self.perturb_scale, self.perturb_scale >= 0, "non-negative")


def check(name: str, value: Any, holds: bool, allowed: str) -> None:
    """Raise ValueError unless a condition holds.

    Args:
        name: name of the setting.
        value: value of the setting.
        holds: condition.
        allowed: description of the allowed values.
    """
    if not holds:
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
