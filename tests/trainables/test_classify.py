"""Trials on real images: learning, resuming, reuse of a process, smoke runs, rejected params."""

import math

import pytest
import torch

from trainables import datasets, passes
from trainables.classify import load, train


def run(params, trial):
    return list(train(params, trial))


@pytest.fixture(scope="module")
def whole(digits_params, make_trial):
    """The metrics of an uninterrupted trial, and the trial."""
    trial = make_trial()
    return run(digits_params, trial), trial


def test_a_narrow_network_learns_digits(whole):
    epochs, trial = whole
    assert [list(metrics) for metrics in epochs] == [
        ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    ] * 3
    assert epochs[-1]["test_accuracy"] > 0.7
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert trial.facts == {"device": "cpu", "data_digest": datasets.digest("digits")}
    assert {row.probe for row in trial.rows} == {
        "saturation",
        "skewness",
        "sparsity",
        "dead_channels",
    }


def test_every_training_step_is_reported_for_pilots(digits_params, make_trial):
    trial = make_trial()
    run({**digits_params, "epochs": 1}, trial)
    images, of = zip(*trial.steps, strict=True)
    assert set(images[:-1]) == {64}
    assert set(of) == {sum(images)}


def test_validation_is_measured_if_images_are_held_out(digits_params, make_trial):
    params = {**digits_params, "epochs": 1, "val_fraction": 0.2}
    [metrics] = run(params, make_trial())
    assert {"val_loss", "val_accuracy"} <= metrics.keys()


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_resumed_trial_is_bit_identical_to_an_uninterrupted_one(
    digits_params, make_trial, whole, killed_after
):
    uninterrupted, trial = whole
    first = make_trial()
    epochs = train(digits_params, first)
    before = [next(epochs) for _ in range(killed_after)]
    epochs.close()
    torch.manual_seed(99)  # another process starts from another global state
    second = make_trial(saved=first.saved)
    after = run(digits_params, second)
    assert before + after == uninterrupted
    assert first.rows + second.rows == trial.rows
    assert len(after) == 3 - killed_after


def test_dropout_and_trained_activations_resume_to_the_bit(digits_params, make_trial):
    params = {
        **digits_params,
        "model": "tf_mnist",
        "order": "nobn",
        "activation": "wsgaf",
        "probes": ["units", "gates"],
        "epochs": 2,
    }
    whole, first = make_trial(), make_trial()
    uninterrupted = run(params, whole)
    before = next(train(params, first))
    second = make_trial(saved=first.saved)
    assert [before, *run(params, second)] == uninterrupted
    assert first.rows + second.rows == whole.rows
    changes = [row.value for row in whole.rows if row.probe == "gate_change_tanh"]
    assert len(changes) == 3
    assert min(changes) > 0


def test_adam_learns_and_resumes_to_the_bit(digits_params, make_trial):
    params = {**digits_params, "optimizer": "adam", "lr": 0.003, "epochs": 2}
    first = make_trial()
    before = next(train(params, first))
    after = run(params, make_trial(saved=first.saved))
    assert [before, *after] == run(params, make_trial())
    assert after[-1]["test_accuracy"] > 0.8
    assert after != run({**params, "optimizer": "sgd"}, make_trial())[1:]


def test_all_groups_of_probes_work_together(digits_params, make_trial):
    trial = make_trial()
    params = {
        **digits_params,
        "epochs": 1,
        "probes": ["units", "inputs", "histograms", "gradients", "gates"],
        "histogram_layers": ["conv1_1"],
    }
    assert run(params, trial) == run({**digits_params, "epochs": 1}, make_trial())
    assert {row.probe for row in trial.rows} >= {
        "saturation",
        "input_mean",
        "activation_histogram",
        "output_histogram",
        "weight_gradient",
    }


def test_losses_between_epochs_are_logged_by_step(digits_params, make_trial):
    trial = make_trial()
    params = {**digits_params, "epochs": 2, "loss_every": 10, "probes": []}
    metrics = run(params, trial)
    assert metrics == run({**digits_params, "epochs": 2}, make_trial())
    assert [(row.probe, row.layer, row.at) for row in trial.rows] == [
        (probe, "network", step)
        for step in (10, 20, 30)  # 19 steps an epoch
        for probe in ("train_loss", "test_loss")
    ]
    last = [row.value for row in trial.rows if row.probe == "test_loss"][-1]
    assert 0 < last < 3


def test_logged_losses_are_of_all_test_images_or_of_some_drawn_by_the_seed(
    digits_params, make_trial
):
    def logged(**changes):
        trial = make_trial()
        params = {**digits_params, "epochs": 1, "loss_every": 19, "probes": [], **changes}
        [metrics] = run(params, trial)  # 19 steps
        return metrics["test_loss"], trial.rows[-1].value

    metric, of_all = logged(loss_images=None)
    assert of_all == metric
    first, of_some = logged(loss_images=100)
    assert first == metric
    assert of_some == logged(loss_images=100)[1] != of_all
    assert logged(loss_images=597)[1] == of_all


def test_trials_in_one_process_are_independent(digits_params, make_trial, whole):
    other = train({**digits_params, "seed": 2, "activation": "relu"}, make_trial())
    interleaved = []
    for metrics in train(digits_params, make_trial()):
        interleaved.append(metrics)
        torch.rand(7)
        next(other)
    assert interleaved == whole[0]


def test_the_global_generator_keeps_its_state(digits_params, make_trial):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run({**digits_params, "epochs": 1}, make_trial())
    assert torch.equal(torch.rand(4), expected)


def test_seeds_differ(digits_params, make_trial):
    params = {**digits_params, "epochs": 1}
    first, second = (run({**params, "seed": seed}, make_trial())[0] for seed in (0, 1))
    assert first["train_loss"] != second["train_loss"]


def test_probing_does_not_change_training(digits_params, make_trial, whole):
    often = make_trial()
    assert run({**digits_params, "probe_epochs": "all"}, often) == whole[0]
    assert len([row for row in often.rows if row.probe == "skewness"]) == 3 * 5


def test_the_network_that_a_trial_leaves_measures_the_same_to_the_bit(whole):
    epochs, trial = whole
    assert sorted(path.name for path in (trial.folder / "keep").iterdir()) == [
        "params.json",
        "weights.pt",
    ]
    model, images = load(trial.folder / "keep")
    loss, accuracy = passes.evaluate(model, images.test)
    last = epochs[-1]
    assert (loss, accuracy) == (last["test_loss"], last["test_accuracy"])


def test_weights_that_do_not_fit_cost_the_trial_nothing(digits_params, make_trial, tmp_path):
    (tmp_path / "keep").write_text("a file in the way, as a full disk would be")
    trial = make_trial(folder=tmp_path)
    assert len(run({**digits_params, "epochs": 1}, trial)) == 1
    [line] = trial.lines
    assert line.startswith("the weights are not kept: ")


def test_nothing_is_saved_unless_due(digits_params, make_trial):
    trial = make_trial(checkpoint_due=False)
    run({**digits_params, "epochs": 1}, trial)
    assert trial.saved is None


def test_a_smoke_run_is_one_epoch_even_without_data(
    digits_params, make_trial, monkeypatch, tmp_path
):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path))
    trial = make_trial(smoke=True)
    params = {**digits_params, "dataset": "parquet:cifar10", "probe_epochs": [200]}
    [metrics] = run(params, trial)
    assert math.isfinite(metrics["test_loss"])
    assert trial.rows
    assert trial.lines == ["the data set parquet:cifar10 is missing: using made-up images"]


def test_a_gpu_that_torch_does_not_detect_is_an_error(digits_params, make_trial, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="has a GPU, but torch detects none"):
        run(digits_params, make_trial(gpus=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vgg99"}, "unknown model 'vgg99'"),
        ({"order": "swapped"}, "unknown order 'swapped'; did you mean 'swap'"),
        ({"activation": "gelu"}, "unknown activation 'gelu'"),
        ({"dataset": "mnits"}, "unknown dataset 'mnits'"),
        ({"dataset": "parquet:nowhere"}, r"no .*train.parquet in .* ORCH_DATA_DIR"),
        ({"lr": -1}, "lr: "),
        ({"image_size": 9}, "image_size 9 is larger"),
        ({"train_size": 1001}, "1001 images cannot be divided"),
        ({"colour": 3}, "unknown param 'colour'"),
    ],
)
def test_check_rejects_params_that_cannot_run(digits_params, change, message):
    train.check(digits_params)
    with pytest.raises(ValueError, match=message):
        train.check({**digits_params, **change})


def test_the_activation_may_be_left_to_its_default(digits_params):
    train.check({name: digits_params[name] for name in digits_params if name != "activation"})


def test_a_small_network_learns_real_cifar_images(real_data, make_trial):
    params = {
        "model": "vgg16_11",
        "activation": "relu",
        "dataset": str(real_data("cifar10", "train.parquet", "test.parquet")),
        "image_size": 16,
        "train_size": 2000,
        "test_size": 500,
        "width": 0.125,
        "lr": 0.02,
        "epochs": 2,
        "batch_size": 64,
        "augment": "crop_flip",
    }
    assert run(params, make_trial())[-1]["test_accuracy"] > 0.2
