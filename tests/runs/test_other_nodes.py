"""The trainable sees its configs on every node before a trial runs on any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.folder import Folder

pytestmark = pytest.mark.slow

DEPENDS_ON_NODE = '''
"""A trainable whose data are on some nodes only."""

import os


def train(params, trial):
    yield {"score": 1.0}


def check(params):
    if os.environ.get("WITHOUT_DATA") and params["x"] == 2:
        raise ValueError("x: the data set 2 is not here; copy it to /data")


train.check = check
'''


@pytest.fixture
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes, of which the second lacks a data set."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1, env_vars={"WITHOUT_DATA": "1"})
    cluster.wait_for_nodes()
    yield cluster.address
    cluster.shutdown()


def test_a_node_without_the_data_is_named_before_anything_runs(
    folder: Folder, two_nodes: str
) -> None:
    (folder.path / "somewhere.py").write_text(DEPENDS_ON_NODE)
    there = Folder(folder.path, folder.environment | {"RAY_ADDRESS": two_nodes})
    file = there.write(trainable="somewhere:train")
    done = there.orch("sweep", file, code=2)
    complaint = "x: the data set 2 is not here; copy it to /data"
    assert [line for line in done.stderr.splitlines() if complaint in line]
    assert done.stderr.count(complaint) == 1
    assert "Traceback" not in done.stderr
    assert not list((there.path / "results/toy/trials").glob("[!0]*"))


def test_nodes_that_have_everything_run_the_trials(folder: Folder, two_nodes: str) -> None:
    (folder.path / "somewhere.py").write_text(DEPENDS_ON_NODE)
    there = Folder(folder.path, folder.environment | {"RAY_ADDRESS": two_nodes})
    there.orch("sweep", there.write(trainable="somewhere:train", factors={"x": [1, 3]}))
    assert len(there.trials()) == 8
