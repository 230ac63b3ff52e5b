"""The weights of WSGAF activations, and their change during training (004, section IV)."""

from torch import nn

from trainables.contract import Trial
from trainables.wsgaf import Wsgaf


def log_gates(model: nn.Module, trial: Trial) -> None:
    """Log six rows per WSGAF activation, in forward order.

    `gate_relu`, `gate_tanh` and `gate_sigmoid` are mean weights; `gate_change_relu` etc. are the
    mean |change| of the weights since the start of training.
    """
    gates = [(name, m) for name, m in model.named_modules() if isinstance(m, Wsgaf)]
    for index, (name, gate) in enumerate(gates):
        layer = name.removesuffix(".activation")
        for function, mean in gate.means().items():
            trial.probe(f"gate_{function}", layer, mean, index=index)
        for function, change in gate.changes().items():
            trial.probe(f"gate_change_{function}", layer, change, index=index)
