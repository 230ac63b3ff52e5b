"""The optimizers of the papers: the weight decay of each parameter, and the rate's schedule."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import nn
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer

from trainables.naming import look_up

MOMENTUM = 0.9
# Fused: fewer passes over memory than the loop over parameters.
OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": partial(SGD, momentum=MOMENTUM, fused=True),
    "adam": partial(Adam, fused=True),
}


def build(
    name: str,
    model: nn.Module,
    weight_decay: float,
    bn_weight_decay: float | None = None,
    bn_beta_weight_decay: float | None = None,
) -> Optimizer:
    """An optimizer of a model's parameters; call `set_rate` before the first step.

    Args:
        name: sgd, with momentum 0.9, or adam (Kingma & Ba, 2015), with torch's constants.
        model: The network to train.
        weight_decay: Decay of all parameters except those of batch norms.
        bn_weight_decay: Decay of the batch norms' scale; `weight_decay` if None. NWDBN is 0.
        bn_beta_weight_decay: Decay of the batch norms' shift; `bn_weight_decay` if None.

    Raises:
        ValueError: If the name is unknown.
    """
    gamma_decay = weight_decay if bn_weight_decay is None else bn_weight_decay
    beta_decay = gamma_decay if bn_beta_weight_decay is None else bn_beta_weight_decay
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    gammas = [norm.weight for norm in norms]
    betas = [norm.bias for norm in norms]
    in_norms = {id(parameter) for parameter in gammas + betas}
    others = [p for p in model.parameters() if id(p) not in in_norms]
    groups: list[tuple[list[Parameter], float]] = [
        (others, weight_decay),
        (gammas, gamma_decay),
        (betas, beta_decay),
    ]
    return look_up("optimizer", name, OPTIMIZERS)(
        [{"params": params, "weight_decay": decay} for params, decay in groups if params]
    )


def rate(lr: float, drops: Sequence[int], epoch: int) -> float:
    """The learning rate of an epoch, counted from 1, divided by 10 after each epoch in `drops`."""
    return lr * 0.1 ** sum(epoch > drop for drop in drops)


def set_rate(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr
