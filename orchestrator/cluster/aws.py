"""Checks the security group on AWS before Ray's launcher starts anything there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.cluster.config import Cluster
from orchestrator.errors import ClusterError

EVERYBODY = ("0.0.0.0/0", "::/0")


def require_closed_ports(cluster: Cluster) -> None:
    """Refuse a security group that opens a port to the world, or a missing one, which Ray opens.

    Raises:
        ClusterError: the group is missing or open, or AWS cannot be queried; the message has
            the commands that fix it.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise ClusterError("AWS needs boto3: pip install 'orch-sweeps[aws]'") from None
    region = cluster.provider["region"]
    name = cluster.provider.get("security_group", {}).get("GroupName")
    if name is None:
        raise ClusterError(
            f"{cluster.path}: provider.security_group.GroupName is missing; without it, Ray "
            "opens SSH to the whole world"
        )
    try:
        groups = boto3.client("ec2", region_name=region).describe_security_groups(
            Filters=[{"Name": "group-name", "Values": [name]}]
        )["SecurityGroups"]
    except (BotoCoreError, ClientError) as error:
        raise ClusterError(
            f"cannot query AWS ({error}); set the credentials with `aws configure`"
        ) from None
    if not groups:
        raise ClusterError(
            f"there is no security group {name} in {region}, and one that Ray creates opens SSH "
            f"to the whole world; create it with\n{_commands(name, region)}"
        )
    for group in groups:
        for ports, source in _open_ports(group):
            raise ClusterError(
                f"the security group {name} ({group['GroupId']}) lets {source} reach {ports}; "
                "remove that rule with `aws ec2 revoke-security-group-ingress`"
            )


def _open_ports(group: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in group["IpPermissions"]:
        sources = [r["CidrIp"] for r in rule["IpRanges"]]
        sources += [r["CidrIpv6"] for r in rule["Ipv6Ranges"]]
        ports = f"port {rule['FromPort']}" if "FromPort" in rule else "every port"
        yield from ((ports, source) for source in sources if source in EVERYBODY)


def _commands(name: str, region: str) -> str:
    """Return the commands that create a group for one address and the nodes themselves."""
    rule = f"  aws ec2 authorize-security-group-ingress --region {region} --group-name {name}"
    return "\n".join(
        [
            f"  aws ec2 create-security-group --region {region} --group-name {name} "
            "--description 'SSH from one address'",
            f"{rule} --protocol tcp --port 22 --cidr YOUR.ADDRESS/32",
            f"{rule} --protocol -1 --source-group {name}",
        ]
    )
