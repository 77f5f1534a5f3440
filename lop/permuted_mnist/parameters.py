"""The keys of lop/permuted_mnist/cfg/**/*.yml."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.runs.online_parameters import OnlineParameters
from lop.runs.parameters import Number, Whole

BIN = 1000  # examples whose fraction of right answers is one number
Metric = Literal["dead_units", "ranks", "weight_magnitude"]


class MnistParameters(OnlineParameters):
    """Parameters of a run, named as in the published configurations, with the published code's defaults."""

    horizon: ClassVar[str] = "num_examples"
    named_by: ClassVar[tuple[str, ...]] = ("agent", "num_features", "opt", "step_size")

    num_examples: Whole = Field(ge=1, description="examples of the run; a multiple of change_after")
    change_after: Whole = Field(
        60_000, ge=1, description=f"examples of a task, beyond 60,000 the same ones again; a multiple of {BIN}"
    )

    num_features: Whole = Field(2000, ge=1, description="units of each hidden layer")
    num_hidden_layers: Whole = Field(3, ge=1, description="hidden layers")
    mt: Whole = Field(100, ge=0, description="maturity threshold in examples (cbp)")
    accumulate: bool = Field(True, description="carry fractions of a unit over, rather than draw (cbp)")
    dropout: Number = Field(0.0, ge=0, lt=1, description="probability of dropping a hidden unit for an example")
    online_norm: bool = Field(False, description="normalise the sums of hidden units online")
    alpha_forward: Number = Field(0.999, ge=0, lt=1, description="decay of online normalisation's running statistics")
    alpha_backward: Number = Field(0.99, ge=0, lt=1, description="decay of online normalisation's backward errors")

    to_log: list[Metric] = Field([], description="what is logged beside accuracy, before each task")

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
        return self
