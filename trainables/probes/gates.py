"""The weights of WSGAF activations, and how far training has moved them (004, section IV)."""

from torch import nn

from trainables.contract import Trial
from trainables.wsgaf import Wsgaf


def log_gates(model: nn.Module, trial: Trial) -> None:
    """Log six rows per WSGAF activation, in the order in which data flows through them.

    `gate_relu`, `gate_tanh` and `gate_sigmoid` are mean weights, and `gate_change_relu` and so
    on the mean |change| of the weights since the start.
    """
    gates = [(name, m) for name, m in model.named_modules() if isinstance(m, Wsgaf)]
    for index, (name, gate) in enumerate(gates):
        layer = name.removesuffix(".activation")
        for function, mean in gate.means().items():
            trial.probe(f"gate_{function}", layer, mean, index=index)
        for function, change in gate.changes().items():
            trial.probe(f"gate_change_{function}", layer, change, index=index)
