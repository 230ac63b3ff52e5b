"""Cluster files: those that are shipped are sound, and what is wrong with one is told in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from orchestrator.cli.main import main
from orchestrator.cluster import aws, config
from orchestrator.cluster.facts import Facts, Node, complaints
from orchestrator.errors import ClusterError

ROOT = Path(__file__).parents[1]
AWS, ON_PREM = ROOT / "cluster.yaml", ROOT / "clusters/on-prem.yaml"


@pytest.fixture
def on_prem(tmp_path: Path) -> Path:
    """The shipped file, filled in."""
    (tmp_path / "key").touch()
    text = ON_PREM.read_text().replace("192.0.2.", "10.0.0.")
    file = tmp_path / "on-prem.yaml"
    file.write_text(text.replace("~/.ssh/id_ed25519", str(tmp_path / "key")))
    return file


def test_both_files_are_sound_once_filled_in(on_prem: Path) -> None:
    assert config.load(on_prem).nodes == 3
    assert config.load(AWS).nodes == 1


@pytest.mark.parametrize("path", [AWS, ON_PREM], ids=["aws", "on-prem"])
def test_ray_itself_accepts_them(path: Path) -> None:
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize("path", [AWS, ON_PREM], ids=["aws", "on-prem"])
def test_the_two_files_say_the_same_where_they_can(path: Path) -> None:
    text = path.read_text()
    assert text.index("ray get-auth-token --generate") < text.index("cluster_name")
    for setting in (
        "RAY_AUTH_MODE=token",
        "RAY_health_check_timeout_ms=2000",
        "RAY_health_check_period_ms=1000",
        "RAY_health_check_failure_threshold=5",
        "--dashboard-host=127.0.0.1",
        "--object-store-memory=200000000",
        "~/.ray/auth_token: ~/.ray/auth_token",
        "~/orch: .",
    ):
        assert setting in text, setting
    assert "0.0.0.0" not in text  # noqa: S104  (what must not be there)


def test_the_workers_on_aws_are_spot_and_come_when_they_are_needed() -> None:
    cluster = config.load(AWS).config
    worker = cluster["available_node_types"]["worker"]
    assert worker["min_workers"] == 0
    assert worker["resources"]["GPU"] == 1
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert cluster["idle_timeout_minutes"] == 5


def test_the_file_as_shipped_names_what_is_to_be_filled_in() -> None:
    result = orch("cluster", "up", ON_PREM)
    assert result.exit_code == 2
    assert "line 15: provider.head_ip: 192.0.2.10 is a placeholder" in result.output
    assert "provider.worker_ips.1" in result.output


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("cluster_name: on-prem", "clustr_name: on-prem", "'clustr_name' was unexpected"),
        ("type: local", "type: [local]", "is not of type 'string'"),
        ("ssh_user: ubuntu", "ssh_proxy: ubuntu", "'ssh_proxy' was unexpected"),
        ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "needs --dashboard-host=127"),
        ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled", "RAY_AUTH_MODE=token is not written"),
        ("ORCH_STORE=", "STORE=", "ORCH_STORE=... is not written"),
        ("~/.ray/auth_token: ~/.ray/auth_token", "~/x: ~/x", "~/.ray/auth_token is missing"),
        ("~/orch: .", "~/code: .", "~/orch is missing"),
        ("head_ip: 10.0.0.10", "external_ip: x", "head_ip and worker_ips are required"),
        ("ray start --head", "ray begin --head", "none of the commands is `ray start --head"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    on_prem: Path, old: str, new: str, complaint: str
) -> None:
    text = on_prem.read_text()
    assert old in text
    on_prem.write_text(text.replace(old, new))
    for command in ("up", "status", "down"):
        result = orch("cluster", command, on_prem)
        assert result.exit_code == 2
        assert f"{on_prem}: line " in result.output
        assert complaint in result.output


def test_a_region_is_needed_on_aws(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(AWS.read_text().replace("  region: us-west-2\n", ""))
    with pytest.raises(ClusterError, match=r"provider: region is missing, such as us-east-1"):
        config.load(file)


def test_a_key_that_is_not_there_is_named(on_prem: Path) -> None:
    (on_prem.parent / "key").unlink()
    with pytest.raises(ClusterError, match=r"auth\.ssh_private_key: there is no file .*key"):
        config.load(on_prem)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """An AWS account that is made up, but for its answers."""
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    with mock_aws():
        import boto3

        yield boto3.client("ec2", region_name="us-west-2")


@pytest.mark.usefixtures("account")
def test_a_group_that_is_missing_comes_with_the_commands_that_make_it() -> None:
    with pytest.raises(ClusterError, match=r"no security group orch-ssh in us-west-2") as caught:
        aws.require_closed_ports(config.load(AWS))
    assert "aws ec2 create-security-group --region us-west-2 --group-name orch-ssh" in str(
        caught.value
    )
    assert "--port 22 --cidr YOUR.ADDRESS/32" in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "port"),
    [
        ({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}, "port 22"),
        ({"IpProtocol": "-1"}, "every port"),
    ],
)
def test_a_group_that_is_open_to_all_is_refused(
    account: object, rule: dict[str, object], port: str
) -> None:
    group = _group(account)
    aws.require_closed_ports(config.load(AWS))
    _authorize(account, group, rule, "203.0.113.7/32")
    aws.require_closed_ports(config.load(AWS))
    _authorize(account, group, rule, "0.0.0.0/0")
    with pytest.raises(ClusterError, match=rf"orch-ssh \({group}\) lets 0\.0\.0\.0/0 reach {port}"):
        aws.require_closed_ports(config.load(AWS))


def _group(ec2: object) -> str:
    made = ec2.create_security_group(GroupName="orch-ssh", Description="x")  # type: ignore[attr-defined]
    return str(made["GroupId"])


def _authorize(ec2: object, group: str, rule: dict[str, object], source: str) -> None:
    permission = {**rule, "IpRanges": [{"CidrIp": source}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])  # type: ignore[attr-defined]


FACTS = Facts(
    versions={"python": "3.12.3", "ray": "2.60.0", "torch": "2.14.1", "orch-sweeps": "0.1.0"},
    digests={"trainables": "a1"},
    visible_gpus=None,
    data_dir="/data",
    data=["cifar10", "mnist"],
    store="/shared/results",
    unwritable=None,
    unreadable=[],
)


def nodes(**changes: object) -> list[Node]:
    """Three nodes, the last of which differs."""
    return [
        Node("10.0.0.10", True, 8, 0, FACTS, None),
        Node("10.0.0.11", False, 8, 0, FACTS, None),
        Node("10.0.0.12", False, 8, 2, replace(FACTS, **changes), None),  # type: ignore[arg-type]
    ]


def test_nodes_that_agree_are_sound(on_prem: Path) -> None:
    assert list(complaints(config.load(on_prem), nodes(visible_gpus=2), {"trainables": "a1"})) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"digests": {"trainables": "b2"}}, "the package `trainables` of the working copy differs"),
        ({"digests": {}}, "the package `trainables` of the working copy is missing"),
        (
            {"versions": {**FACTS.versions, "torch": "2.9.0"}},
            "torch is 2.9.0, but 2.14.1 on the head; pin it in setup_commands",
        ),
        ({"visible_gpus": 1}, "Ray counts 2 GPUs, torch sees 1; check the driver"),
        ({"data": ["mnist"]}, "/data lacks cifar10, which other nodes have; copy it there"),
        ({"data": None}, "there is no data folder /data; ORCH_DATA_DIR in ~/.orch/env sets it"),
        ({"store": None}, "ORCH_STORE is not set"),
        ({"unwritable": "Permission denied"}, "cannot be written (Permission denied)"),
        (
            {"unreadable": ["10.0.0.10"]},
            "the store /shared/results does not show what 10.0.0.10 wrote",
        ),
    ],
)
def test_a_node_that_differs_is_named_in_one_line(
    on_prem: Path, changes: dict[str, object], complaint: str
) -> None:
    found = list(complaints(config.load(on_prem), nodes(**changes), {"trainables": "a1"}))
    assert len(found) == 1
    assert found[0].startswith("10.0.0.12: ")
    assert complaint in found[0]


def test_nodes_that_did_not_join_or_do_not_answer_are_named(on_prem: Path) -> None:
    few = [*nodes(visible_gpus=2)[:1], Node("10.0.0.11", False, 8, 0, None, "it timed out")]
    found = list(complaints(config.load(on_prem), few, {}))
    assert found[0].startswith("10.0.0.12: has not joined the cluster; `ray exec")
    assert found[1].startswith("10.0.0.11: could not be checked (it timed out)")
    absent = list(complaints(config.load(AWS), [], {}))
    assert absent[0].startswith("1 of 1 nodes: has not joined")


def test_a_sweep_file_outside_the_working_folder_is_not_sent(
    on_prem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(on_prem.parent)
    sweep = ROOT / "sweeps/quickstart.yaml"
    result = orch("sweep", sweep, "--cluster", on_prem, "--store", "elsewhere")
    assert result.exit_code == 2
    assert "--store elsewhere would be in the cluster's temporary copy" in result.output


def test_an_installation_without_the_job_api_says_what_is_missing(
    on_prem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for name in ("orchestrator.cli.remote", "orchestrator.cluster.jobs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("orchestrator.cli.remote", raising=False)
    monkeypatch.delattr("orchestrator.cluster.jobs", raising=False)
    result = orch("status", ROOT / "sweeps/quickstart.yaml", "--cluster", on_prem)
    assert result.exit_code == 2
    assert "--cluster needs aiohttp: pip install 'orch-sweeps[cluster]'" in result.output


def test_detaching_needs_a_cluster() -> None:
    result = orch("sweep", ROOT / "sweeps/quickstart.yaml", "--detach")
    assert result.exit_code == 2
    assert "--detach needs --cluster" in result.output


def orch(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [os.fspath(str(word)) for word in arguments])


@pytest.mark.parametrize("file", [AWS, ON_PREM])
def test_what_a_cluster_gets_no_copy_of_is_none_of_the_packages(file: Path) -> None:
    patterns = YAML(typ="safe").load(file)["rsync_exclude"]

    def is_left_out(path: Path) -> bool:
        first, *_ = parts = path.relative_to(ROOT).parts
        return any(
            fnmatch(first, pattern[1:])
            if pattern.startswith("/")
            else any(fnmatch(part, pattern) for part in parts)
            for pattern in patterns
        )

    packages = (ROOT / "orchestrator", ROOT / "trainables")
    sources = [path for package in packages for path in package.rglob("*.py")]
    assert sources
    assert not [path for path in sources if is_left_out(path)]
    assert all(is_left_out(ROOT / folder / "file") for folder in ("results", "data", ".venv"))
