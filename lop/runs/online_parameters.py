"""Parameters of problems whose networks learn from one example at a time."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.runs.parameters import Number, Utility, Whole
from lop.runs.plugin_parameters import EngineParameters


class OnlineParameters(EngineParameters):
    """Parameters of a fully connected network and its learner, named as in the published configurations."""

    network_keys: ClassVar[tuple[str, ...]] = ("num_features", "hidden_activation")
    compiled_devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")  # one example at a time gains nothing from a GPU

    agent: Literal["bp", "l2", "cbp", "linear"] = Field(
        "bp", description="backpropagation, with L2 regularisation, continual backpropagation, or linear network"
    )
    num_features: Whole = Field(ge=0, description="units of each hidden layer")
    hidden_activation: Literal["relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "swish"] = Field(
        "relu", description="activation of hidden units"
    )
    opt: Literal["sgd", "adam"] = Field("sgd", description="optimizer")
    step_size: Number = Field(gt=0, description="step size of the optimizer")
    beta_1: Number = Field(0.9, ge=0, lt=1, description="Adam's decay of the first moment")
    beta_2: Number = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    weight_decay: Number = Field(0.0, ge=0, description="L2 regularisation of weights and biases")
    perturb_scale: Number = Field(0.0, ge=0, description="standard deviation of noise added to all weights each step")

    replacement_rate: Number = Field(0.0, ge=0, le=1, description="fraction of mature units replaced per example (cbp)")
    decay_rate: Number = Field(0.99, ge=0, lt=1, description="decay of the running utilities (cbp)")
    mt: Whole = Field(ge=0, description="maturity threshold in examples (cbp)")
    util_type: Utility = Field("adaptable_contribution", description="utility of units (cbp)")
    init: Literal["default", "kaiming", "lecun", "xavier"] = Field(
        "kaiming", description="distribution of new units' weights (cbp)"
    )
    accumulate: bool = Field(description="accumulate fractional numbers of due units instead of sampling (cbp)")

    @model_validator(mode="after")
    def _plugins_fit(self) -> "OnlineParameters":
        if self.network and self.agent not in ("bp", "l2"):
            raise ValueError(f"key `agent`: found {self.agent!r}, allowed: 'bp' or 'l2' with `network`")
        self.refuse_with("optimizer", "opt", "beta_1", "beta_2", "weight_decay")
        return self
