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
    """The params of one trial.

    Attributes:
        case: A label for settings that vary several params together; it has no effect.
        model: Name of a network; see `trainables.models`.
        activation: Name of an activation; see `trainables.activations`.
        leak: Slope for negative inputs of leaky_relu, leaky_tanh and penalized_tanh.
        shift: Shift of shifted_tanh.
        wsgaf_per: neuron, channel or layer: what shares weights; see `trainables.wsgaf`.
        wsgaf_gate: linear or sigmoid.
        wsgaf_init: relu, tanh, sigmoid or all.
        wsgaf_std: small or large.
        order: convention, swap or nobn; see `trainables.units`.
        init: torch or xavier: the initial weights; None means xavier for nobn, else torch.
        width: Factor applied to all numbers of channels.
        dataset: Name of a data set; see `trainables.datasets`.
        image_size: Side to which images are downsampled by averaging; None keeps their size. Of
            folders of image files: the side of crops, 224 if None.
        train_size: Number of training images, the same number per class; None for all.
        test_size: Number of test images, likewise.
        val_fraction: Fraction of the training images held out for the metrics `val_...`.
        decoded_size: Of folders of image files: the shorter side to which they are decoded once
            per machine; None decodes them in every epoch.
        augment: none, or random crop, or crop and horizontal flip, of training images.
        shuffle: Whether the images are shuffled in every epoch.
        optimizer: sgd, with momentum 0.9, or adam.
        lr: Its learning rate.
        lr_drops: Epochs after which the rate is divided by 10.
        weight_decay: Decay of all parameters except those of batch norms.
        bn_weight_decay: Decay of batch norms' parameters; None means `weight_decay`.
        bn_beta_weight_decay: Decay of batch norms' shifts; None means `bn_weight_decay`.
        epochs: Number of passes over the training images.
        batch_size: Images per step; batch norm needs two.
        probes: Groups of probes to measure; see `trainables.probes`.
        probe_epochs: Epochs, counted from 1, in which probes are measured; None means the last.
        histogram_layers: Units that the group `histograms` measures.
        histogram_channels: Channels of each of these units that get their own histogram.
        loss_every: Number of steps between logged losses; None logs them once an epoch only.
        loss_images: Test images of each of these losses, drawn by the seed; None for all.
        precision: fp32, bf16, or tf32, which is fp32 on a CPU; see `trainables.devices`.
        deterministic: Whether a GPU computes the same bits every time, at some cost of speed.
        compile: Whether the network is compiled for training, which evaluation does not use; graphs
            also replays its kernels on a GPU as CUDA graphs.
        seed: Seed of initial weights, dropout, order of images and augmentation.
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
    init: Literal["torch", "xavier"] | None = None
    width: PositiveFloat = 1
    dataset: str
    image_size: PositiveInt | None = None
    train_size: PositiveInt | None = None
    test_size: PositiveInt | None = None
    val_fraction: float = Field(default=0, ge=0, lt=1)
    decoded_size: PositiveInt | None = 256
    augment: Literal["none", "crop", "crop_flip"] = "none"
    shuffle: bool = True
    optimizer: Literal["sgd", "adam"] = "sgd"
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
    loss_images: PositiveInt | None = 1024
    precision: Precision = "fp32"
    deterministic: bool = False
    compile: bool | Literal["graphs"] = False
    seed: NonNegativeInt = 0

    def for_model(self) -> dict[str, Any]:
        """The activation and what was given explicitly, for functions with their own defaults."""
        given = self.model_dump(exclude_unset=True, exclude_none=True)
        return {"activation": self.activation, **given}

    def probes_at(self, epoch: int) -> bool:
        """Whether probes are measured in an epoch, counted from 1."""
        if self.probe_epochs is None:
            return epoch == self.epochs
        return self.probe_epochs == "all" or epoch in self.probe_epochs

    def for_smoke(self) -> "Settings":
        """A copy for a smoke run: one epoch of batches of 2 images, with the probes measured."""
        return self.model_copy(update={"epochs": 1, "batch_size": 2, "probe_epochs": None})
