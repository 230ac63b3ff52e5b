"""The hyperbolic tangent, which takes a CPU most of an activation's time."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables import devices

# Whether this build of torch brings it.
_HAS_ONE_DNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def tanh(x: Tensor) -> Tensor:
    """The tangent of each value, of x's shape and type.

    In channels_last memory on a CPU, as a trial's networks run there, oneDNN computes it, which
    is as exact as torch's own and several times faster.
    """
    if _HAS_ONE_DNN and devices.pixel_by_pixel_on_cpu(x) and x.numel():
        y: Tensor = _OneDnnTanh.apply(x)
        return y
    return torch.tanh(x)


class _OneDnnTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        # Flat, since oneDNN's own order of four dimensions is another one.
        flat = x.permute(0, 2, 3, 1).view(-1)
        y = flat.to_mkldnn().tanh_().to_dense().as_strided(x.shape, x.stride())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        x_grad: Tensor = torch.ops.aten.tanh_backward(grad, y)
        return x_grad
