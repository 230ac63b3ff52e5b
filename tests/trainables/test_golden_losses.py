"""The losses of the first training steps of every model, against recorded ones.

Each case is one epoch of `trainables.classify.train` on a CPU: five steps on made-up images with
random crops and flips, then a measurement on test images. The cases cover every order of batch
norm and activation in each model, and every activation. Their learning rates are small enough
that rounding stays small: other vector instructions, two threads, convolutions without oneDNN, or
float64 throughout move no loss by more than 2e-5.

After a change that is meant to change the numbers, record them again:

    python tests/trainables/test_golden_losses.py
"""

import json
import os
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from memory_trial import MemoryTrial
from PIL import Image

from trainables.activations import ACTIVATIONS
from trainables.classify import train
from trainables.models import MODELS
from trainables.units import ORDERS

RECORDED = Path(__file__).with_name("golden_losses.json")
STEPS = 5
BATCH = 16
SIDE = 64
CLASSES = 4
COMMON = {
    "dataset": "parquet:made_up",
    "image_size": 16,
    "width": 0.125,
    "augment": "crop_flip",
    "weight_decay": 0.1,  # large enough to show within five steps
    "bn_weight_decay": 0.2,
    "epochs": 1,
    "batch_size": BATCH,
    "loss_every": 1,
    "probes": [],
    "seed": 1,
}
# Model, order, activation, learning rate. Deep networks with batch norm have steep gradients.
CASES = [
    ("vgg16_8", "convention", "tanh", 1e-2),
    ("vgg16_8", "swap", "lecun_tanh", 1e-2),
    ("vgg16_8", "nobn", "sigmoid", 1e-2),
    ("vgg16_11", "convention", "scaled_sigmoid", 1e-2),
    ("vgg16_11", "swap", "tanh", 1e-2),
    ("vgg16_11", "nobn", "relu", 1e-2),
    ("vgg11", "convention", "relu", 1e-3),
    ("vgg11", "swap", "tanh", 1e-3),
    ("vgg11", "nobn", "leaky_relu", 1e-3),
    ("preact_resnet18", "convention", "relu", 1e-4),
    ("preact_resnet18", "swap", "tanh", 1e-3),
    ("preact_resnet18", "nobn", "softsign", 1e-2),
    ("mobilenet", "convention", "leaky_relu", 1e-5),
    ("mobilenet", "swap", "softsign", 1e-3),
    ("mobilenet", "nobn", "wsgaf", 1e-3),
    ("inception33", "convention", "penalized_tanh", 1e-5),
    ("inception33", "swap", "leaky_tanh", 1e-5),
    ("inception33", "nobn", "tanh", 1e-2),
    ("tf_mnist", "convention", "shifted_tanh", 1e-2),
    ("tf_mnist", "swap", "wsgaf", 1e-2),
    ("tf_mnist", "nobn", "wsgaf", 1e-2),
    ("tf_cifar10", "convention", "wsgaf", 1e-2),
    ("tf_cifar10", "swap", "shifted_tanh", 1e-2),
    ("tf_cifar10", "nobn", "penalized_tanh", 1e-2),
]
FURTHER = {
    # In large images VGG has hidden layers with dropout, and the first batch norms are folded.
    "vgg11": {"image_size": SIDE},
    # Its other initial weights let the signal fade to nothing without batch norm.
    "mobilenet": {"wsgaf_init": "all"},
    "tf_mnist": {"wsgaf_per": "channel", "wsgaf_gate": "sigmoid"},
}


def losses(model, order, activation, lr):
    """The training loss of each step, and the test loss after the last one."""
    trial = MemoryTrial()
    case = {"model": model, "order": order, "activation": activation, "lr": lr}
    [metrics] = train({**COMMON, **case, **FURTHER.get(model, {})}, trial)
    steps = [row.value for row in trial.rows if row.probe == "train_loss"]
    return {"train": steps, "test": metrics["test_loss"]}


def make_up_images(folder):
    """A data set of noise; numpy promises that the numbers of `RandomState` never change."""
    random = np.random.RandomState(0)
    folder.mkdir()
    for split, count in (("train", STEPS * BATCH), ("test", BATCH)):
        noise = random.randint(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)
        images = [{"bytes": png(pixels)} for pixels in noise]
        labels = [number % CLASSES for number in range(count)]
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{split}.parquet")


def png(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _made_up_images(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("data")
        patch.setenv("ORCH_DATA_DIR", str(folder))
        make_up_images(folder / "made_up")
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case[:3]))
def test_the_first_losses_are_the_recorded_ones(case):
    recorded = json.loads(RECORDED.read_text())["-".join(case[:3])]
    measured = losses(*case)
    assert measured["train"] == pytest.approx(recorded["train"], rel=1e-4)
    assert measured["test"] == pytest.approx(recorded["test"], rel=1e-4)


def test_the_cases_cover_every_family_in_every_order_and_every_activation():
    # the other names are VGG of other lengths, and the same ResNet with more blocks
    families = MODELS.keys() - {"vgg16", "preact_resnet34", *(f"vgg16_{n}" for n in range(8, 17))}
    models = families | {"vgg16_8", "vgg16_11"}
    assert {case[:2] for case in CASES} == {(model, order) for model in models for order in ORDERS}
    assert {case[2] for case in CASES} == ACTIVATIONS.keys()


def record():
    """Write the losses of all cases to the file that the test reads."""
    with TemporaryDirectory() as folder:
        os.environ.update(ORCH_DATA_DIR=folder, ORCH_CACHE_DIR=f"{folder}/cache")
        make_up_images(Path(folder) / "made_up")
        recorded = {"-".join(case[:3]): losses(*case) for case in CASES}
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    record()
