"""The base class of probes that watch forward passes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainables.contract import Trial

Observer = Callable[[Tensor], None]
Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


class Watcher(ABC):
    """Observes inputs and outputs of a network's modules while active as a context manager."""

    def __init__(self) -> None:
        self._hooks: list[tuple[nn.Module, Hook]] = []
        self._handles: list[RemovableHandle] = []

    def _watch_input(self, module: nn.Module, observe: Observer) -> None:
        """Call `observe` with the module's input after each forward pass."""
        self._hooks.append((module, lambda _module, inputs, _output: observe(inputs[0])))

    def _watch_output(self, module: nn.Module, observe: Observer) -> None:
        """Call `observe` with the module's output after each forward pass."""
        self._hooks.append((module, lambda _module, _inputs, output: observe(output)))

    def __enter__(self) -> Self:
        self._handles = [module.register_forward_hook(hook) for module, hook in self._hooks]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()

    @abstractmethod
    def log(self, trial: Trial) -> None:
        """Log the measurements as rows of probes."""
