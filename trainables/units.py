"""The unit that networks are made of: a weight layer, a batch norm and an activation."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from trainables.batch_norm import BatchNorm2d
from trainables.naming import look_up

# Section 1 of "Batch Normalization and Bounded Activation Functions", and NoBN of its A.2.
ORDERS: Mapping[str, tuple[str, ...]] = {
    "convention": ("weight", "norm", "activation"),
    "swap": ("weight", "activation", "norm"),
    "nobn": ("weight", "activation"),
}
# In a pre-activation network (He et al., 2016, "Identity Mappings") the weight comes last.
PREACT_ORDERS: Mapping[str, tuple[str, ...]] = {
    "convention": ("norm", "activation", "weight"),
    "swap": ("activation", "norm", "weight"),
    "nobn": ("activation", "weight"),
}


class Unit(nn.Sequential):
    """A weight layer with its batch norm and activation, in one of three orders.

    The parts are the sub-modules `weight`, `norm` and `activation`, run in the order in which
    they are registered; `norm` is missing in the order `nobn`.

    Args:
        weight: The convolution. It has a bias, which the order swap needs.
        activation: The activation's module.
        order: convention, swap or nobn.
        preact: Whether batch norm and activation stand before the weight.

    Raises:
        ValueError: If the order is unknown.
    """

    def __init__(
        self, weight: nn.Conv2d, activation: nn.Module, order: str, *, preact: bool = False
    ) -> None:
        names = look_up("order", order, PREACT_ORDERS if preact else ORDERS)
        self.channels = weight.in_channels if preact else weight.out_channels
        parts = {
            "weight": weight,
            "norm": BatchNorm2d(self.channels),
            "activation": activation,
        }
        super().__init__(OrderedDict((name, parts[name]) for name in names))
        self.output_name = [name for name in names if name != "weight"][-1]

    def preactivated(self, x: Tensor) -> Tensor:
        """What a pre-activation unit's weight reads, for a shortcut that starts there."""
        for name, part in self.named_children():
            if name != "weight":
                x = part(x)
        return x

    @property
    def output(self) -> nn.Module:
        """The part whose output the next weight layer reads: the norm in swap, else the activation.

        In a pre-activation unit it is what the unit's own weight reads.
        """
        return self.get_submodule(self.output_name)


def named_units(model: nn.Module) -> Iterator[tuple[str, Unit]]:
    """The units of a network with their qualified names, in forward order.

    Models register their units in the order in which data flows through them.
    """
    for name, module in model.named_modules():
        if isinstance(module, Unit):
            yield name, module
