"""Keys of lop/permuted_mnist/cfg/**/*.yml."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.runs.online_parameters import OnlineParameters
from lop.runs.parameters import Number, Whole

INPUTS, CLASSES = 784, 10  # pixels of an image; classes
BIN = 1000  # examples per logged accuracy
Metric = Literal["dead_units", "ranks", "weight_magnitude"]


class MnistParameters(OnlineParameters):
    """Parameters of a run, with the names of the published configurations and the defaults of the published code."""

    horizon: ClassVar[str] = "num_examples"
    network_keys: ClassVar[tuple[str, ...]] = (
        *("num_features", "num_hidden_layers", "hidden_activation", "alpha_forward", "alpha_backward"),
    )
    engines: ClassVar[Mapping[str, str]] = {
        "reference": "lop.permuted_mnist.reference",
        "compiled": "lop.permuted_mnist.compiled",
    }
    named_by: ClassVar[tuple[str, ...]] = ("agent", "num_features", "opt", "step_size")

    num_examples: Whole = Field(ge=1, description="number of examples; a multiple of change_after")
    change_after: Whole = Field(
        60_000, ge=1, description=f"examples per task, repeated after 60,000; a multiple of {BIN}"
    )

    num_features: Whole = Field(2000, ge=1, description="units of each hidden layer")
    num_hidden_layers: Whole = Field(3, ge=1, description="number of hidden layers")
    mt: Whole = Field(100, ge=0, description="maturity threshold in examples (cbp)")
    accumulate: bool = Field(True, description="accumulate fractional numbers of due units instead of sampling (cbp)")
    dropout: Number = Field(0.0, ge=0, lt=1, description="probability of dropping a hidden unit for an example")
    online_norm: bool = Field(False, description="apply online normalisation before hidden activations")
    alpha_forward: Number = Field(0.999, ge=0, lt=1, description="decay of running statistics in online normalisation")
    alpha_backward: Number = Field(0.99, ge=0, lt=1, description="decay of backward errors in online normalisation")

    to_log: list[Metric] = Field([], description="metrics logged before each task, besides the accuracy")

    @model_validator(mode="after")
    def _fits(self) -> "MnistParameters":
        if self.change_after % BIN:
            raise ValueError(f"key `change_after`: found {self.change_after}, allowed: a multiple of {BIN}")
        if self.num_examples % self.change_after:
            raise ValueError(
                f"key `num_examples`: found {self.num_examples}, allowed: a multiple of change_after "
                f"({self.change_after})"
            )
        if self.agent == "cbp" and (self.dropout or self.online_norm):
            raise ValueError("key `agent`: found 'cbp', allowed: bp, l2 with dropout or online_norm")
        self.refuse_with("network", "dropout", "online_norm")
        return self
