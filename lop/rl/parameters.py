"""Keys of lop/rl/cfg/**/*.yml."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lop.algos.rl.settings import NEVER_CLIPS, NetworkSettings, PPOSettings, UnitReplacement
from lop.rl.frictions import Frictions, read
from lop.runs.parameters import Number, Utility, Whole
from lop.runs.plugin_parameters import EngineParameters

SLIPPERY = "SlipperyAnt-v3"
Metric = Literal[
    "pol_features_activity",
    "stable_rank",
    "pol_weights",
    "val_weights",
    "weight_change",
    "policy_loss",
    "value_loss",
    "approx_kl",
    "clip_fraction",
    "entropy",
    "explained_variance",
    "policy_units_replaced",
    "value_units_replaced",
]


class PPOParameters(EngineParameters):
    """Parameters of a PPO run; names are those of the published configs, defaults those of the published code."""

    horizon: ClassVar[str] = "n_steps"
    cosmetic: ClassVar[frozenset[str]] = frozenset({"label"})
    named_by: ClassVar[tuple[str, ...]] = ("env_name", "lr", "beta_1", "wd", "rr")
    learning_rate: ClassVar[str] = "lr"
    network_keys: ClassVar[tuple[str, ...]] = ("h_dim", "act_type", "init")
    engines: ClassVar[Mapping[str, str]] = {"reference": "lop.algos.rl.agent", "compiled": "lop.engines.ppo.agent"}

    env_name: Literal["Ant-v3", "SlipperyAnt-v3", "Hopper-v3", "Walker2d-v3"] = Field(description="environment")
    backend: Literal["mujoco", "mujoco-py"] = Field(
        "mujoco", description="physics engine: current MuJoCo, equal to the original up to rounding, or the original"
    )
    n_steps: Whole = Field(ge=1, description="environment steps of the run")
    label: str = Field("", description="name of the method; does not affect results")

    change_time: Whole = Field(
        2_000_000, ge=1, description="SlipperyAnt: minimum number of steps between changes of the friction"
    )
    frictions_file: Path | None = Field(
        None,
        description="SlipperyAnt: text file of frictions, one line per seed, relative to the file that sets it or, on "
        "the command line, to the current folder; default: drawn from the seed, log-uniform in [0.02, 2]",
    )

    act_type: Literal["ReLU", "Tanh", "elu", "sigmoid"] = Field("ReLU", description="activation of both networks")
    h_dim: list[Annotated[Whole, Field(ge=1)]] = Field(
        [256, 256], min_length=1, description="units of each hidden layer, in both networks"
    )
    init: Literal["default", "kaiming", "lecun", "xavier", "orthogonal"] = Field(
        "lecun", description="distribution of initial weights; orthogonal (not published) learns faster at first"
    )

    bs: Whole = Field(2048, ge=2, description="environment steps between two updates")
    n_itrs: Whole = Field(10, ge=1, description="epochs per update")
    n_slices: Whole = Field(16, ge=1, description="minibatches per epoch; a divisor of bs")
    g: Number = Field(0.99, ge=0, le=1, description="discount factor gamma")
    lm: Number = Field(0.95, ge=0, le=1, description="decay rate lambda of the advantage estimates")
    clip_eps: Number = Field(0.2, gt=0, description="clipping range of the probability ratio around 1")
    no_clipping: bool = Field(False, description="surrogate loss without clipping")
    u_adv_scl: bool = Field(True, description="advantages normalised over the batch")
    adv_scl_minibatch: bool = Field(
        False, description="normalisation of advantages over each minibatch, as in Stable-Baselines3"
    )
    u_epi_ups: bool = Field(False, description="updates only at the end of an episode")
    bootstrap_time_limit: bool = Field(
        False, description="bootstrapping from the value at a time limit, which the published code treats as terminal"
    )

    lr: Number = Field(1e-4, gt=0, description="step size of Adam")
    beta_1: Number = Field(0.9, ge=0, lt=1, description="Adam's decay rate of the first moment")
    beta_2: Number = Field(0.999, ge=0, lt=1, description="Adam's decay rate of the second moment")
    eps: Number = Field(1e-8, gt=0, description="Adam's epsilon")
    wd: Number = Field(0.0, ge=0, description="L2 regularisation (Adam's weight decay) on all parameters")
    max_grad_norm: Number = Field(1e9, gt=0, description="maximum norm of gradients; no clipping from 1e9 on")
    perturb_scale: Number = Field(0.0, ge=0, description="standard deviation of noise added to all weights each step")

    rr: Number = Field(0.0, ge=0, le=1, description="replacement rate of continual backpropagation")
    mt: Whole = Field(10000, ge=0, description="maturity threshold in optimizer steps")
    decay_rate: Number = Field(0.99, ge=0, lt=1, description="decay rate of the running utilities")
    util_type_pol: Utility = Field("contribution", description="utility of the policy's units")
    util_type_val: Utility = Field("contribution", description="utility of the value network's units")
    pgnt: bool | None = Field(None, description="unit replacement in the policy (default: if rr > 0 or redo)")
    vgnt: bool | None = Field(None, description="unit replacement in the value network (default: if rr > 0 or redo)")
    move_mean_to_bias: bool = Field(
        False, description="mean contribution of replaced units added to the next bias, as the paper describes"
    )
    clear_optimizer_state: bool = Field(False, description="Adam's moments of replaced units set to zero")

    redo: bool = Field(False, description="ReDo instead of continual backpropagation")
    threshold: Number = Field(0.03, ge=0, description="ReDo: threshold of dormancy, relative to the layer's mean")
    reset_period: Whole = Field(1000, ge=1, description="ReDo: optimizer steps between two resets")

    to_log: list[Metric] = Field([], description="metrics logged in addition to returns and lengths of episodes")

    @field_validator("change_time", "frictions_file")
    @classmethod
    def _slips(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("env_name", SLIPPERY) != SLIPPERY:
            raise ValueError(f"only with env_name {SLIPPERY}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "PPOParameters":
        if self.bs % self.n_slices:
            raise ValueError(f"key `n_slices`: found {self.n_slices}, allowed: a divisor of bs ({self.bs})")
        if self.redo and self.move_mean_to_bias:
            raise ValueError("key `move_mean_to_bias`: found True, allowed: False with redo")
        self.refuse_with("network", "rr", "redo")
        self.refuse_with("optimizer", "beta_1", "beta_2", "eps", "wd")
        return self

    def needs_of_compiled(self) -> dict[str, tuple[bool, str]]:
        """Return {key: (whether the compiled engine supports its value, the supported values)}."""
        return super().needs_of_compiled() | {
            "h_dim": (len(self.h_dim) == 2, "two hidden layers"),
            "init": (self.init != "orthogonal", "any but orthogonal"),
            "perturb_scale": (self.perturb_scale == 0, "0"),
        }

    def modules(self, device: str) -> tuple[str, ...]:
        """Return the modules of plugins, of the agent and, with backend mujoco-py, of the original environments."""
        original = ["lop.envs.original"] if self.backend == "mujoco-py" else []
        return (*super().modules(device), *original)

    def identity(self, device: str) -> dict[str, Any]:
        """Return the parameters that affect results, with `engine` resolved.

        The path of the frictions file is excluded; its contents are inputs of the seeds.
        """
        return {key: value for key, value in super().identity(device).items() if key != "frictions_file"}

    def networks(self) -> NetworkSettings:
        """Return the settings of the networks."""
        return NetworkSettings(tuple(self.h_dim), self.act_type, self.init)

    def ppo(self) -> PPOSettings:
        """Return the settings of PPO, under their usual names."""
        replacement = UnitReplacement(
            algorithm="redo" if self.redo else "cbp",
            init=self.init,
            clear_optimizer_state=self.clear_optimizer_state,
            replacement_rate=self.rr,
            decay_rate=self.decay_rate,
            maturity_threshold=self.mt,
            util_type=self.util_type_pol,
            move_mean_to_bias=self.move_mean_to_bias,
            threshold=self.threshold,
            reset_period=self.reset_period,
        )
        return PPOSettings(
            learning_rate=self.lr,
            betas=(self.beta_1, self.beta_2),
            eps=self.eps,
            weight_decay=self.wd,
            gamma=self.g,
            gae_lambda=self.lm,
            num_steps=self.bs,
            update_epochs=self.n_itrs,
            num_minibatches=self.n_slices,
            clip_coef=None if self.no_clipping else self.clip_eps,
            norm_adv=self.u_adv_scl,
            norm_adv_minibatch=self.adv_scl_minibatch,
            max_grad_norm=self.max_grad_norm if self.max_grad_norm < NEVER_CLIPS else None,
            update_at_episode_end=self.u_epi_ups,
            perturb_scale=self.perturb_scale,
            policy_replacement=replacement if self.replaces_policy_units else None,
            value_replacement=(
                replace(replacement, util_type=self.util_type_val) if self.replaces_value_units else None
            ),
        )

    def inputs(self, seed: int) -> dict[str, list[float]]:
        """Return the frictions of a seed in the frictions file; empty without a file."""
        if self.frictions_file is None:
            return {}
        return {"frictions": read(self.frictions_file, seed, self.most_frictions)}

    @property
    def most_frictions(self) -> int:
        """Maximum number of frictions in the run."""
        return Frictions.most(self.n_steps, self.change_time)

    @property
    def replaces_policy_units(self) -> bool:
        """Whether units of the policy are replaced."""
        return self._replaces_units if self.pgnt is None else self.pgnt

    @property
    def replaces_value_units(self) -> bool:
        """Whether units of the value network are replaced."""
        return self._replaces_units if self.vgnt is None else self.vgnt

    @property
    def _replaces_units(self) -> bool:
        return self.rr > 0 or self.redo
