"""Working folders whose sweeps run for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.folder import Folder, environment
from support.toys import TRAINABLE


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a working folder whose sweeps start a Ray of their own."""
    (tmp_path / "toy.py").write_text(TRAINABLE)
    return Folder(tmp_path, environment())


@pytest.fixture(scope="package")
def ray_address() -> Iterator[str]:
    """Keep one Ray cluster of two CPUs for the tests of this folder that only need some Ray."""
    from ray.cluster_utils import Cluster

    from orchestrator.running.runners.ray_cluster import bare_node

    with bare_node():
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
        )
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def cluster_folder(folder: Folder, ray_address: str) -> Folder:
    """Make a working folder whose sweeps join the folder's cluster."""
    return Folder(folder.path, folder.environment | {"RAY_ADDRESS": ray_address})
