"""Fixtures that several test files use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import buckets
from support.storing import Lab
from support.toys import Toy

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(str(tmp_path / "toy"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with buckets.s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def google_server() -> Iterator[str]:
    with buckets.google_server() as server:
        yield server


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> buckets.Bucket:
    """Make a bucket, and the environment by which this process reaches it."""
    return _within_reach(buckets.s3_bucket(s3_server), monkeypatch)


@pytest.fixture
def google(google_server: str, monkeypatch: pytest.MonkeyPatch) -> buckets.Bucket:
    """Make a bucket, and the environment by which this process reaches it."""
    return _within_reach(buckets.google_bucket(google_server), monkeypatch)


@pytest.fixture(params=["disk", "bucket"])
def any_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a place for a store, on a disk and in a bucket."""
    if request.param == "disk":
        return str(tmp_path / "toy")
    bucket: buckets.Bucket = request.getfixturevalue("s3")
    return f"{bucket.address}/toy"


def _within_reach(bucket: buckets.Bucket, monkeypatch: pytest.MonkeyPatch) -> buckets.Bucket:
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return bucket
