"""Weight decays, the learning rate schedule and the fused step."""

from functools import partial

import pytest
import torch

from trainables import models, optim


def decays(model, *given):
    optimizer = optim.build("sgd", model, *given)
    of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    return {name: of[id(parameter)] for name, parameter in model.named_parameters()}


@pytest.fixture
def model():
    return models.build({"model": "vgg16_8", "width": 0.1}, 3, 10)


@pytest.mark.parametrize(
    ("given", "gamma", "beta"),
    [
        ((0.1,), 0.1, 0.1),
        ((0.1, 0.0), 0.0, 0.0),
        ((0.1, 0.0, 0.3), 0.0, 0.3),
        ((0.1, None, 0.3), 0.1, 0.3),
    ],
)
def test_each_kind_of_parameter_has_its_decay(model, given, gamma, beta):
    by_name = decays(model, *given)
    assert len(by_name) == len(list(model.parameters()))
    assert by_name["conv1_1.norm.weight"] == gamma
    assert by_name["conv2_1.norm.bias"] == beta
    assert by_name["conv1_1.weight.weight"] == by_name["classifier.bias"] == 0.1


def test_a_network_without_batch_norm_has_one_group():
    model = models.build({"model": "vgg16_8", "width": 0.1, "order": "nobn"}, 3, 10)
    assert len(optim.build("sgd", model, 0.1).param_groups) == 1


def test_the_rate_drops_after_the_given_epochs():
    rates = [optim.rate(0.1, [100, 150], epoch) for epoch in (1, 100, 101, 150, 151)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize(
    ("name", "plainly"),
    [("sgd", partial(torch.optim.SGD, momentum=0.9)), ("adam", torch.optim.Adam)],
)
def test_the_fused_step_is_the_plain_one_up_to_rounding(model, name, plainly):
    plain = models.build({"model": "vgg16_8", "width": 0.1}, 3, 10)
    plain.load_state_dict(model.state_dict())
    fused = optim.build(name, model, 5e-4)
    loop = plainly(plain.parameters(), weight_decay=5e-4, foreach=False)
    optim.set_rate(fused, 0.1)
    loop.param_groups[0]["lr"] = 0.1
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        one.grad = torch.randn_like(one)
        other.grad = one.grad.clone()
    for optimizer in (fused, fused, loop, loop):
        optimizer.step()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
