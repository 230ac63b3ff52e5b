"""The params of the trainable `classify`."""

from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from trainables.devices import Precision
from trainables.params import Params

ProbeGroup = Literal["units", "inputs", "histograms", "gradients", "gates"]


class Settings(Params):
    """What one trial is to do.

    Attributes:
        case: A name for the setting, where several params make one axis; it changes nothing.
        model: Name of a network; see `trainables.models`.
        activation: Name of an activation; see `trainables.activations`.
        leak: Slope for negative inputs of leaky_relu, leaky_tanh and penalized_tanh.
        shift: Shift of shifted_tanh.
        wsgaf_per: neuron, channel or layer: what has weights of its own; see `trainables.wsgaf`.
        wsgaf_gate: linear or sigmoid.
        wsgaf_init: relu, tanh, sigmoid or all.
        wsgaf_std: small or large.
        order: convention, swap or nobn; see `trainables.units`.
        width: Factor on the numbers of channels.
        dataset: Name of a data set; see `trainables.datasets`.
        image_size: Side to which images are averaged down; None leaves them as they are.
        train_size: Number of training images, equally many per class; None for all.
        test_size: Number of test images, likewise.
        val_fraction: Part of the training images that is held out and measured as `val_...`.
        augment: Random crop, or crop and horizontal flip, of training images.
        shuffle: Whether each epoch has an order of its own.
        lr: Learning rate of SGD with momentum 0.9.
        lr_drops: Epochs after which the rate is divided by 10.
        weight_decay: Decay of all parameters but those of batch norms.
        bn_weight_decay: Decay of batch norms' parameters; None means `weight_decay`.
        bn_beta_weight_decay: Decay of batch norms' shifts; None means `bn_weight_decay`.
        epochs: Number of passes over the training images.
        batch_size: Images per step; batch norm needs two.
        probes: Which groups of probes are taken; see `trainables.probes`.
        probe_epochs: Epochs, counted from 1, in which probes are taken; None means the last.
        histogram_layers: Units of which the group `histograms` is to be taken.
        histogram_channels: Channels of each of them that get a histogram of their own.
        loss_every: Every how many steps losses are logged; None means once an epoch only.
        precision: fp32; tf32, which a CPU computes as fp32; or bf16. See `trainables.devices`.
        compile: Whether the network is compiled for training; measured and probed as it is.
        seed: Seeds initial weights, order of images and augmentation, and nothing else.
    """

    case: str = ""
    model: str
    activation: str = "relu"
    leak: float = 0.25
    shift: float = 1.0
    wsgaf_per: str = "neuron"
    wsgaf_gate: str = "linear"
    wsgaf_init: str = "tanh"
    wsgaf_std: str = "small"
    order: str = "convention"
    width: PositiveFloat = 1
    dataset: str
    image_size: PositiveInt | None = None
    train_size: PositiveInt | None = None
    test_size: PositiveInt | None = None
    val_fraction: float = Field(default=0, ge=0, lt=1)
    augment: Literal["none", "crop", "crop_flip"] = "none"
    shuffle: bool = True
    lr: PositiveFloat
    lr_drops: list[PositiveInt] = Field(default=[])
    weight_decay: NonNegativeFloat = 0
    bn_weight_decay: NonNegativeFloat | None = None
    bn_beta_weight_decay: NonNegativeFloat | None = None
    epochs: PositiveInt
    batch_size: int = Field(default=128, ge=2)
    probes: list[ProbeGroup] = Field(default=["units"])
    probe_epochs: list[PositiveInt] | Literal["all"] | None = None
    histogram_layers: list[str] = Field(default=[])
    histogram_channels: list[NonNegativeInt] = Field(default=[])
    loss_every: PositiveInt | None = None
    precision: Precision = "fp32"
    compile: bool = False
    seed: NonNegativeInt = 0

    def for_model(self) -> dict[str, Any]:
        """The params that were given, for doors that have their own defaults."""
        return self.model_dump(exclude_unset=True, exclude_none=True)

    def probes_at(self, epoch: int) -> bool:
        """Whether probes are taken in an epoch, counted from 1."""
        if self.probe_epochs is None:
            return epoch == self.epochs
        return self.probe_epochs == "all" or epoch in self.probe_epochs

    def for_smoke(self) -> "Settings":
        """The same for one epoch of batches of 2 images, with every probe taken."""
        return self.model_copy(update={"epochs": 1, "batch_size": 2, "probe_epochs": None})
