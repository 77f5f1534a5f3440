"""Keys of lop/imagenet/cfg/*.yml."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.data.formats import CLASS_SHAPE, CLASS_TRAIN, IMAGENET_CLASSES
from lop.imagenet.problem import classes_until
from lop.runs.parameters import Number, Utility, Whole
from lop.runs.plugin_parameters import PluginParameters

CLASS_TEST = CLASS_SHAPE[0] - CLASS_TRAIN


class ImagenetParameters(PluginParameters):
    """Parameters of a run, with the names and defaults of the published configurations and code."""

    horizon: ClassVar[str] = "num_tasks"
    named_by: ClassVar[tuple[str, ...]] = ("agent", "channels", "opt", "step_size")
    network_keys: ClassVar[tuple[str, ...]] = ("channels",)

    num_tasks: Whole = Field(ge=1, description="number of tasks")
    num_classes: Whole = Field(2, ge=2, description="classes per task")
    num_showings: Whole = Field(250, ge=1, description="epochs per task")
    mini_batch_size: Whole = Field(100, ge=1, description="images per minibatch; the last of an epoch may be smaller")
    total_classes: Whole = Field(
        IMAGENET_CLASSES,
        ge=2,
        le=IMAGENET_CLASSES,
        description="number of classes to draw tasks from; reused once all have been used",
    )
    train_images_per_class: Whole = Field(
        CLASS_TRAIN, ge=1, le=CLASS_TRAIN, description="training images of each class"
    )
    test_images_per_class: Whole = Field(CLASS_TEST, ge=1, le=CLASS_TEST, description="test images of each class")
    new_heads: bool = Field(True, description="zero weights and biases of the output layer before each task")

    agent: Literal["bp", "cbp", "linear"] = Field(
        "bp", description="backpropagation, continual backpropagation, or backpropagation in a linear network"
    )
    net_type: Literal[1, 2] = Field(
        1, description="1: units replaced by the learner; 2: by drop-in layers in the network (cbp)"
    )
    channels: Whole = Field(
        32, ge=1, description="channels of the first convolution; all hidden layers scale in proportion"
    )
    opt: Literal["sgd", "adam"] = Field("sgd", description="optimizer")
    step_size: Number = Field(gt=0, description="step size of the optimizer")
    momentum: Number = Field(0.0, ge=0, lt=1, description="momentum of SGD")
    beta_1: Number = Field(0.9, ge=0, lt=1, description="Adam's decay of the first moment")
    beta_2: Number = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    weight_decay: Number = Field(0.0, ge=0, description="L2 regularisation of weights and biases")
    perturb_scale: Number = Field(0.0, ge=0, description="standard deviation of noise added to all weights each step")

    replacement_rate: Number = Field(1e-4, ge=0, le=1, description="fraction of units replaced per step (cbp)")
    decay_rate: Number = Field(0.99, ge=0, lt=1, description="decay of the running utilities (cbp)")
    maturity_threshold: Whole = Field(100, ge=0, description="steps before a new unit may be replaced (cbp)")
    util_type: Utility = Field("contribution", description="utility of units (cbp)")
    move_mean_to_bias: bool = Field(
        False, description="add mean contributions of replaced units to the next layer's biases, as in the paper (cbp)"
    )
    clear_optimizer_state: bool | None = Field(
        None, description="clear the optimizer state of replaced units; by default with Adam, not with SGD (cbp)"
    )

    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type in forward and backward passes; weights and optimizer use float32"
    )

    @model_validator(mode="after")
    def _fits(self) -> "ImagenetParameters":
        if self.num_classes > self.total_classes:
            raise ValueError(
                f"key `num_classes`: found {self.num_classes}, allowed: up to total_classes ({self.total_classes})"
            )
        if self.net_type == 2 and self.agent != "cbp":
            raise ValueError(f"key `net_type`: found 2, allowed: 1 with agent: {self.agent}")
        if self.net_type == 2 and (self.clear_optimizer_state or self.move_mean_to_bias):
            key = "clear_optimizer_state" if self.clear_optimizer_state else "move_mean_to_bias"
            raise ValueError(f"key `{key}`: found True, allowed: false with net_type: 2")
        if self.perturb_scale and self.agent == "cbp":
            raise ValueError(f"key `perturb_scale`: found {self.perturb_scale}, allowed: 0 with agent: cbp")
        self.refuse_with("network", "agent", "net_type")
        self.refuse_with("optimizer", "opt", "momentum", "beta_1", "beta_2", "weight_decay")
        return self

    def classes(self, seed: int) -> list[int]:
        """Return the classes that the run with a seed learns from, sorted."""
        return sorted(set(classes_until(seed, self.total_classes, self.num_tasks * self.num_classes)))
