"""The weights of a trained network, in the files that a trial leaves behind."""

import json
import shutil
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainables.contract import Trial

_WEIGHTS, _PARAMS = "weights.pt", "params.json"


def keep(model: nn.Module, params: Mapping[str, Any], trial: Trial) -> None:
    """Write the weights and the params to `trial.folder/keep`.

    A disk that is full costs the weights alone, and the log says so: the trial's numbers are worth
    more.
    """
    folder, buffer = trial.folder / "keep", BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, buffer)
    try:
        folder.mkdir(exist_ok=True)
        (folder / _PARAMS).write_text(json.dumps(dict(params)), encoding="utf-8")
        (folder / _WEIGHTS).write_bytes(buffer.getvalue())
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        trial.log(f"the weights are not kept: {error}")


def kept_params(folder: Path) -> dict[str, Any]:
    """Read the params of the trial that left its weights in a folder."""
    params: dict[str, Any] = json.loads((folder / _PARAMS).read_text(encoding="utf-8"))
    return params


def restore(model: nn.Module, folder: Path) -> None:
    """Load the weights in a folder into a network of the same shape."""
    model.load_state_dict(torch.load(folder / _WEIGHTS, weights_only=True))
