"""Keys of lop/slowly_changing_regression/cfg/**/*.yml."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.runs.online_parameters import OnlineParameters
from lop.runs.parameters import Number, Whole

BIN = 1000  # examples per logged mean squared error
Metric = Literal["weight_magnitude", "gradient_magnitude", "inactive_units"]


class RegressionParameters(OnlineParameters):
    """Parameters of a run, with the names of the published configurations and the defaults of the published code."""

    horizon: ClassVar[str] = "num_data_points"
    engines: ClassVar[Mapping[str, str]] = {
        "reference": "lop.slowly_changing_regression.reference",
        "compiled": "lop.slowly_changing_regression.compiled",
    }
    named_by: ClassVar[tuple[str, ...]] = ("agent", "hidden_activation", "opt", "step_size")

    num_data_points: Whole = Field(ge=1, description="number of examples; a multiple of flip_after")
    flip_after: Whole = Field(10_000, ge=1, description=f"examples between two changes; a multiple of {BIN}")
    num_inputs: Whole = Field(20, ge=1, description="number of input bits")
    num_flipping_bits: Whole = Field(15, ge=0, description="slow bits; the others are random in each example")
    flip_one: bool = Field(False, description="flip one slow bit at each change, instead of resampling all")
    num_target_features: Whole = Field(100, ge=1, description="threshold units of the target network")
    beta: Number = Field(0.7, ge=0, le=1, description="fraction of agreeing inputs at which a threshold unit is active")

    num_features: Whole = Field(5, ge=0, description="hidden units of the learner")
    mt: Whole = Field(10, ge=0, description="maturity threshold in examples (cbp)")
    accumulate: bool = Field(False, description="accumulate fractional numbers of due units instead of sampling (cbp)")

    to_log: list[Metric] = Field([], description="metrics logged every flip_after examples, besides squared errors")

    @model_validator(mode="after")
    def _fits(self) -> "RegressionParameters":
        if self.flip_after % BIN:
            raise ValueError(f"key `flip_after`: found {self.flip_after}, allowed: a multiple of {BIN}")
        if self.num_data_points % self.flip_after:
            raise ValueError(
                f"key `num_data_points`: found {self.num_data_points}, allowed: a multiple of flip_after "
                f"({self.flip_after})"
            )
        if self.num_flipping_bits > self.num_inputs:
            raise ValueError(
                f"key `num_flipping_bits`: found {self.num_flipping_bits}, "
                f"allowed: up to num_inputs ({self.num_inputs})"
            )
        if self.agent != "linear" and not self.num_features:
            raise ValueError("key `num_features`: found 0, allowed: 1 or more, unless agent is linear")
        if self.network and "inactive_units" in self.to_log:
            raise ValueError(
                "key `to_log`: found inactive_units, whose definition depends on the activation, with `network`"
            )
        return self

    @property
    def logs_while_learning(self) -> bool:
        """Whether a logged metric is an average over the examples of a stretch."""
        return bool({"gradient_magnitude", "inactive_units"} & set(self.to_log))
