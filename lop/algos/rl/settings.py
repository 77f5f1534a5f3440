"""Settings of a PPO agent, shared by the reference (`lop.algos.rl`) and the compiled engine (`lop.engines.ppo`)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NetworkSettings:
    """Policy and value network, which differ in their outputs only."""

    hidden: tuple[int, ...] = (256, 256)  # units of each hidden layer
    activation: str = "relu"
    init: str = "lecun"  # see `lop.nets.initialisation`


@dataclass(frozen=True)
class UnitReplacement:
    """Replacement of one network's units after each step of the optimizer; see `lop.algos.gnt` and `lop.algos.redo`."""

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
        if self.algorithm == "redo" and self.move_mean_to_bias:
            raise ValueError(f"move_mean_to_bias must be False with redo, got {self.move_mean_to_bias}")


@dataclass(frozen=True)
class PPOSettings:
    """Proximal policy optimisation, with the names of the field; the defaults are those of the published code."""

    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0  # L2 regularisation by Adam, of all parameters
    gamma: float = 0.99
    gae_lambda: float = 0.95
    num_steps: int = 2048  # environment steps between two updates
    update_epochs: int = 10
    num_minibatches: int = 16
    clip_coef: float | None = 0.2  # None: the surrogate is not clipped
    norm_adv: bool = True  # normalise advantages over the batch
    norm_adv_minibatch: bool = False  # normalise them over every minibatch
    max_grad_norm: float | None = None  # None: gradients are not clipped
    update_at_episode_end: bool = False  # update at the first end of an episode after `num_steps` steps only
    perturb_scale: float = 0.0  # standard deviation of the noise added to all weights after each step
    policy_replacement: UnitReplacement | None = None
    value_replacement: UnitReplacement | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.num_minibatches <= self.num_steps:
            raise ValueError(f"num_minibatches must be between 1 and {self.num_steps}, got {self.num_minibatches}")
