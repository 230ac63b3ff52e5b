"""Passes over images: an epoch of training, and an evaluation."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from trainables.contract import Trial
from trainables.data import Part
from trainables.devices import subnormals_as_zero
from trainables.settings import Settings


@subnormals_as_zero()
def train_epoch(
    model: nn.Module,
    optimizer: Optimizer,
    images: Part,
    settings: Settings,
    generator: Generator,
    after_step: "AfterStep",
) -> tuple[float, float]:
    """Train on all images once.

    Args:
        model: The network.
        optimizer: Over its parameters, with the epoch's rate set.
        images: What to train on.
        settings: Batch size, augmentation and shuffling.
        generator: Source of all randomness in the batches.
        after_step: Called with the loss and number of images of every step.

    Returns:
        Mean loss and accuracy over the images, each with the weights before its step.
    """
    model.train()
    totals = Totals(model)
    batches = images.training_batches(
        settings.batch_size, settings.augment, generator, shuffle=settings.shuffle
    )
    for x, labels in batches:
        logits = model(x)
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        totals.add(loss.detach(), logits, labels)
        after_step(loss.detach(), len(labels))
    return totals.means()


@torch.inference_mode()
def evaluate(model: nn.Module, images: Part, chosen: Tensor | None = None) -> tuple[float, float]:
    """Mean loss and accuracy over all images, or those at chosen positions, in eval mode."""
    model.eval()
    totals = Totals(model)
    for x, labels in images.batches(chosen):
        logits = model(x)
        totals.add(functional.cross_entropy(logits, labels), logits, labels)
    return totals.means()


class Totals:
    """Sums of losses and correct predictions, kept on the network's device: no step waits."""

    def __init__(self, model: nn.Module) -> None:
        device = next(model.parameters()).device
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._count = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: its mean loss, logits (n, classes) and labels (n,)."""
        correct = (logits.argmax(1) == labels).sum()
        batch = torch.stack([loss.double() * len(labels), correct.double()])
        self._sums += batch
        self._count += len(labels)

    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy over all batches so far."""
        loss, correct = self._sums.tolist()
        return loss / self._count, correct / self._count


class AfterStep:
    """Logs losses every few steps, if requested, as rows `train_loss` and `test_loss`.

    The training loss is that of the step's batch; `at` is the number of the step in the trial,
    counted from 1.

    Args:
        model: The network.
        test: Test images.
        trial: Where the rows go.
        settings: How many steps lie between rows, and of how many images each test loss is.
        done: Number of steps before this epoch.
        of: Number of images in this epoch.
    """

    def __init__(
        self, model: nn.Module, test: Part, trial: Trial, settings: Settings, done: int, of: int
    ) -> None:
        self._model, self._test, self._trial = model, test, trial
        self._every, self._step, self._of = settings.loss_every, done, of
        self._chosen = _some(len(test), settings.loss_images, settings.seed)

    def __call__(self, loss: Tensor, images: int) -> None:
        """Report a step on `images` images, and log the losses if they are due."""
        self._step += 1
        self._trial.step(images, of=self._of)
        if self._every is None or self._step % self._every:
            return
        test_loss, _ = evaluate(self._model, self._test, self._chosen)
        self._model.train()
        self._trial.probe("train_loss", "network", float(loss), index=0, at=self._step)
        self._trial.probe("test_loss", "network", test_loss, index=0, at=self._step)


def _some(images: int, count: int | None, seed: int) -> Tensor | None:
    """Positions of `count` images, drawn by the seed, in order; None for all of them."""
    if count is None or count >= images:
        return None
    drawn = torch.randperm(images, generator=Generator().manual_seed(seed))
    return drawn[:count].sort().values
