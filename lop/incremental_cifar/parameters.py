"""Keys of lop/incremental_cifar/cfg/*.yml."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lop.runs.parameters import Number, Whole
from lop.runs.plugin_parameters import PluginParameters

# CIFAR-100: classes; per class, images in the training file, images in the test file, training images for validation
CIFAR_CLASSES, TRAIN, TEST, HELD_OUT = 100, 500, 100, 50


class CifarParameters(PluginParameters):
    """Parameters of a run, with the names and defaults of the published configurations and code."""

    horizon: ClassVar[str] = "total_classes"
    named_by: ClassVar[tuple[str, ...]] = ("use_cbp", "width", "stepsize", "weight_decay")
    learning_rate: ClassVar[str] = "stepsize"
    network_keys: ClassVar[tuple[str, ...]] = ("width", "stem_stride")

    total_classes: Whole = Field(CIFAR_CLASSES, ge=1, le=CIFAR_CLASSES, description="classes at the end of the run")
    class_increase: Whole = Field(5, ge=1, description="classes added per increment; divides total_classes")
    class_increase_frequency: Whole = Field(200, ge=1, description="epochs per increment")
    train_images_per_class: Whole = Field(
        TRAIN - HELD_OUT, ge=1, le=TRAIN - HELD_OUT, description="training images of each class"
    )
    validation_images_per_class: Whole = Field(
        HELD_OUT, ge=1, le=HELD_OUT, description="images of each class for early stopping"
    )
    test_images_per_class: Whole = Field(TEST, ge=1, le=TEST, description="test images of each class")
    mini_batch_size: Whole = Field(90, ge=2, description="images per minibatch; the last of an epoch may be smaller")
    use_data_augmentation: bool = Field(
        True, description="flip, crop and rotate training images at random, and test images if augment_test"
    )
    augment_test: bool = Field(True, description="augment test images too, as published")

    width: Whole = Field(64, ge=1, description="channels of the first stage of the residual network, doubled in each")
    stem_stride: Whole = Field(1, ge=1, le=2, description="stride of the first convolution")
    stepsize: Number = Field(gt=0, description="step size of SGD; times 0.2 after 30, 60 and 80% of an increment")
    momentum: Number = Field(0.0, ge=0, lt=1, description="momentum of SGD")
    weight_decay: Number = Field(0.0, ge=0, description="L2 regularisation of all parameters")
    noise_std: Number = Field(0.0, ge=0, description="standard deviation of noise added to all parameters each step")
    reset_head: bool = Field(False, description="re-initialise the output layer before each increment")
    reset_network: bool = Field(False, description="re-initialise the network before each increment")
    early_stopping: bool = Field(
        False, description="restore the epoch with the best validation accuracy after each increment"
    )

    use_cbp: bool = Field(False, description="continual backpropagation")
    replacement_rate: Number = Field(0.0, ge=0, le=1, description="fraction of units replaced per step (use_cbp)")
    utility_function: Literal["weight", "contribution"] = Field("weight", description="utility of units (use_cbp)")
    maturity_threshold: Whole = Field(0, ge=0, description="steps before a new unit may be replaced (use_cbp)")

    measure_training_mode: bool = Field(
        True, description="measure with batch statistics in normalisation, as published, instead of running statistics"
    )
    measured_images: Whole = Field(1000, ge=2, description="images for measuring dormant units and ranks")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type in forward and backward passes; weights and optimizer use float32"
    )

    @property
    def increments(self) -> int:
        """Number of increments."""
        return self.total_classes // self.class_increase

    @model_validator(mode="after")
    def _fits(self) -> "CifarParameters":
        if self.total_classes % self.class_increase:
            raise ValueError(
                f"key `total_classes`: found {self.total_classes}, allowed: a multiple of class_increase "
                f"({self.class_increase})"
            )
        if self.use_cbp and not (self.replacement_rate and self.maturity_threshold):
            key = "maturity_threshold" if self.replacement_rate else "replacement_rate"
            raise ValueError(f"key `{key}`: found 0, allowed: more than 0 with use_cbp")
        if self.reset_head and self.reset_network:
            raise ValueError("key `reset_head`: found True, allowed: false with reset_network")
        self.refuse_with("network", "use_cbp")
        self.refuse_with("optimizer", "momentum", "weight_decay")
        return self
