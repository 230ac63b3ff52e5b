"""Train a network to classify images: the trainable of the papers' accuracy tables."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Generator, nn
from torch.optim import Optimizer

from trainables import data, devices, models, optim, passes, probes, weights
from trainables.contract import Trial, checked_by
from trainables.params import validated
from trainables.settings import Settings


def check(params: Mapping[str, Any]) -> None:
    """Reject params that `train` cannot run; decodes the data set if it is not in the cache.

    Raises:
        ValueError: If a param is unknown, missing or invalid, or the data set's files are
            missing; the message lists what exists, or says where to get the files.
    """
    settings = validated(Settings, params)
    shape = _image_shape(_choice(settings))
    with torch.device("meta"):  # parameters without memory
        probes.watchers(_build(settings, *shape), settings)


@checked_by(check)
def train(params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
    """Run one trial, yielding the metrics of each epoch.

    Yields `train_loss` and `train_accuracy`, averages over the training steps of the epoch;
    `val_loss` and `val_accuracy` after it if `val_fraction` is not 0; and `test_loss` and
    `test_accuracy`. Losses are mean cross entropies in nats, accuracies fractions.

    All randomness of an epoch derives from the seed and the number of the epoch. A checkpoint
    therefore contains no generator state, and a resumed trial is bit-identical to an
    uninterrupted one. At the end it leaves the network's weights in `trial.folder/keep`.

    Args:
        params: The fields of `trainables.settings.Settings`.
        trial: The resources to use, and where checkpoints and probes go.

    Raises:
        ValueError: If a param is unknown, missing or invalid, or the data set is missing.
    """
    settings = validated(Settings, params)
    if trial.smoke:
        settings = settings.for_smoke()
    device = devices.choose(trial, settings.precision, deterministic=settings.deterministic)
    images = data.load(
        _choice(settings), device, workers=trial.threads, smoke=trial.smoke, log=trial.log
    )
    if images.made_up:
        trial.log(f"the data set {settings.dataset} is missing: using made-up images")
        trial.record(made_up_data=settings.dataset)
    if images.digest:
        trial.record(data_digest=images.digest)
    with _seeded(settings.seed, 0, device):
        model = _build(settings, images.channels, images.size, images.classes)
    devices.place(model, device, settings.precision)
    trained = model
    if settings.compile:
        trained = devices.compiled(model, graphs=settings.compile == "graphs")
    optimizer = optim.build(
        settings.optimizer,
        model,
        settings.weight_decay,
        settings.bn_weight_decay,
        settings.bn_beta_weight_decay,
    )
    done = _restore(trial.load(), model, optimizer)
    try:
        for epoch in range(done + 1, settings.epochs + 1):
            optim.set_rate(optimizer, optim.rate(settings.lr, settings.lr_drops, epoch))
            metrics = _train(model, trained, optimizer, images, settings, epoch, trial)
            if images.val:
                metrics |= _named("val", passes.evaluate(model, images.val))
            metrics |= _test(model, images, settings, epoch, trial)
            if trial.checkpoint_due:
                trial.save(_state(epoch, model, optimizer))
            yield metrics
        if not trial.smoke:
            weights.keep(model, params, trial)
    finally:
        devices.record_peak_memory(
            device, trial
        )  # here, since a pilot stops a trial within an epoch


def load(folder: str | Path) -> tuple[nn.Module, data.Data]:
    """Load a network that `train` has kept, and the images of its trial, on the CPU.

    Args:
        folder: What the store retains of a trial: a path that `Results.best` lists.

    Returns:
        The network with the weights after the last epoch, and the images.

    Raises:
        ValueError: If the data set is missing.
    """
    settings = validated(Settings, weights.kept_params(Path(folder)))
    device = torch.device("cpu")
    images = data.load(_choice(settings), device)
    model = _build(settings, images.channels, images.size, images.classes)
    devices.place(model, device, settings.precision)
    weights.restore(model, Path(folder))
    return model, images


def _train(
    model: nn.Module,
    trained: nn.Module,
    optimizer: Optimizer,
    images: data.Data,
    settings: Settings,
    epoch: int,
    trial: Trial,
) -> dict[str, float]:
    count = len(images.train)
    done = (epoch - 1) * -(-count // settings.batch_size)
    after_step = passes.AfterStep(model, images.test, trial, settings, done=done, of=count)
    device = next(model.parameters()).device
    with _seeded(settings.seed, epoch, device) as generator:
        result = passes.train_epoch(
            trained, optimizer, images.train, settings, generator, after_step
        )
    return _named("train", result)


def _test(
    model: nn.Module, images: data.Data, settings: Settings, epoch: int, trial: Trial
) -> dict[str, float]:
    """Evaluate on the test images, with the probes that are due in the epoch."""
    if not settings.probes_at(epoch):
        return _named("test", passes.evaluate(model, images.test))
    watchers = probes.watchers(model, settings)
    with ExitStack() as stack:
        for watcher in watchers:
            stack.enter_context(watcher)
        result = passes.evaluate(model, images.test)
    for watcher in watchers:
        watcher.log(trial)
    if "gates" in settings.probes:
        probes.log_gates(model, trial)
    if "gradients" in settings.probes:
        probes.log_gradients(model, images.train, trial, settings.seed)
    return _named("test", result)


def _named(part: str, loss_and_accuracy: tuple[float, float]) -> dict[str, float]:
    loss, accuracy = loss_and_accuracy
    return {f"{part}_loss": loss, f"{part}_accuracy": accuracy}


def _build(settings: Settings, channels: int, size: int, classes: int) -> nn.Module:
    return models.build({**settings.for_model(), "image_size": size}, channels, classes)


def _choice(settings: Settings) -> data.Choice:
    return data.Choice(
        dataset=settings.dataset,
        image_size=settings.image_size,
        train_size=settings.train_size,
        test_size=settings.test_size,
        val_fraction=settings.val_fraction,
        decoded_size=settings.decoded_size,
    )


@lru_cache(maxsize=16)
def _image_shape(choice: data.Choice) -> tuple[int, int, int]:
    """Channels, side and classes of the images; cached, since many configs share a choice."""
    return data.shape(choice)


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[Generator]:
    """Seed torch and a new generator for one epoch, and restore torch's state afterwards."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(2)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(state[0]))
        yield Generator().manual_seed(int(state[1]))


def _state(epoch: int, model: nn.Module, optimizer: Optimizer) -> bytes:
    buffer = BytesIO()
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, buffer)
    return buffer.getvalue()


def _restore(saved: bytes | None, model: nn.Module, optimizer: Optimizer) -> int:
    """Load a saved state into model and optimizer; return the number of completed epochs.

    Raises:
        ValueError: If it contains objects other than tensors and plain values.
    """
    if saved is None:
        return 0
    device = next(model.parameters()).device
    try:
        state = torch.load(BytesIO(saved), map_location=device, weights_only=True)
    except UnpicklingError:
        raise ValueError(
            "the checkpoint contains objects other than tensors and plain values; no trial writes "
            "those, and loading them could run code: delete it"
        ) from None
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])
