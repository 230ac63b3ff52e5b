"""The benchmark of GPUs runs, as far as a CPU can show: its loops on tiny networks."""

import math

import pytest

from benchmarks import decoding, gpu
from benchmarks._gpu_loops import Case, How

TINY = Case("vgg16_8", 16, 40, batch=16, width=0.125)


@pytest.mark.slow
def test_both_loops_train_and_are_timed(monkeypatch):
    monkeypatch.setattr(gpu, "HOWS", {"bf16": How("bf16")})
    [record] = gpu.speeds(TINY, gpu=0, workers=1)
    assert min(record.ours, record.baseline) > 0
    exact, contiguous = How("fp32", deterministic=True), How("fp32", contiguous=True)
    assert gpu.choices(TINY, exact, contiguous, "", gpu=0).ratio > 0


@pytest.mark.slow
def test_the_making_of_batches_is_a_part_of_an_epoch(monkeypatch):
    monkeypatch.setattr(decoding, "IMAGES", 40)
    small = Case("vgg16_8", 16, 640, batch=64, width=0.125)
    large = Case("vgg16_8", 64, 40, batch=8, width=0.125)
    records = list(gpu.waits(small, large, gpu=0))
    assert all(math.isfinite(record.ours) and record.ours < 100 for record in records)
    assert len(records) == 2


@pytest.mark.slow
def test_the_pilot_is_compared_with_its_trial():
    [record] = gpu.pilot(gpu=0, width=0.125)
    assert min(record.ours, record.baseline) > 0
