"""The unit that networks consist of: a weight layer, a batch norm and an activation."""

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
# Pre-activation networks (He et al., 2016, "Identity Mappings") have the weight last.
PREACT_ORDERS: Mapping[str, tuple[str, ...]] = {
    "convention": ("norm", "activation", "weight"),
    "swap": ("activation", "norm", "weight"),
    "nobn": ("activation", "weight"),
}


class Unit(nn.Sequential):
    """A weight layer with its batch norm and activation, in one of three orders.

    The parts are the sub-modules `weight`, `norm` and `activation`, which run in the order
    of their registration; the order `nobn` has no `norm`.

    Args:
        weight: The convolution. It has a bias, which the order swap needs.
        activation: The activation's module.
        order: convention, swap or nobn.
        preact: Whether batch norm and activation precede the weight.

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
        """The input of a pre-activation unit's weight, for a shortcut that branches off there."""
        for name, part in self.named_children():
            if name != "weight":
                x = part(x)
        return x

    @property
    def output(self) -> nn.Module:
        """The part whose output is the next weight layer's input: norm in swap, else activation.

        In a pre-activation unit, its output is the input of the unit's own weight.
        """
        return self.get_submodule(self.output_name)


def named_units(model: nn.Module) -> Iterator[tuple[str, Unit]]:
    """The units of a network with their qualified names, in forward order.

    Models register their units in the order in which data flows through them.
    """
    for name, module in model.named_modules():
        if isinstance(module, Unit):
            yield name, module
