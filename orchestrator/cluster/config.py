"""A cluster file, and what must stand in it beyond what Ray itself asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestrator.errors import ClusterError
from orchestrator.spec import source
from orchestrator.spec.keys import Key

WORKING_COPY = "~/orch"
ENVIRONMENT = "~/.orch/env"
TOKEN = "~/.ray/auth_token"  # noqa: S105  (a path)
PLACEHOLDERS = ("192.0.2.", "198.51.100.", "203.0.113.")
"""Addresses that stand for none (RFC 5737); the files as they are shipped have them."""


@dataclass(frozen=True)
class Cluster:
    """A cluster file that was read."""

    path: Path
    config: dict[str, Any]
    """As Ray takes it: plain lists and dictionaries."""

    @property
    def name(self) -> str:
        """What Ray calls it."""
        return str(self.config["cluster_name"])

    @property
    def provider(self) -> dict[str, Any]:
        """Where its hosts come from."""
        return dict(self.config["provider"])

    @property
    def on_prem(self) -> bool:
        """Whether its hosts are there already."""
        return bool(self.provider["type"] == "local")

    @property
    def nodes(self) -> int:
        """How many nodes there are when it is up and idle."""
        types = self.config.get("available_node_types", {})
        if self.on_prem:
            return 1 + len(self.provider["worker_ips"])
        return 1 + sum(int(kind.get("min_workers", 0)) for kind in types.values())


def load(path: Path) -> Cluster:
    """Read a cluster file.

    Raises:
        ClusterError: Ray would refuse it, or it leaves a door open; every complaint names
            file, line and key.
    """
    read = source.read(path)
    config = _plain(read.data)
    problems = list(_ray_problems(config)) or list(_problems(config))
    if problems:
        lines = (f"{read.place(key)}: {_dotted(key)}{text}" for key, text in problems)
        raise ClusterError("\n".join(lines))
    return Cluster(path, config)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _dotted(key: Key) -> str:
    return f"{'.'.join(map(str, key))}: " if key else ""


def _ray_problems(config: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    """Check against the schema that Ray ships."""
    import jsonschema  # for which every other command would wait

    # Found without importing Ray, which takes a second and settles whether tokens are used.
    ray = Path(str(metadata.distribution("ray").locate_file("ray")))
    schema = json.loads((ray / "autoscaler/ray-schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in sorted(validator.iter_errors(config), key=lambda error: list(error.path)):
        yield tuple(error.path), str(error.message)


def _problems(config: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    """Find what Ray accepts although no cluster, or an open one, would come of it."""
    provider = config["provider"]
    if provider["type"] == "local":
        yield from _host_problems(provider)
        key = config.get("auth", {}).get("ssh_private_key")
        if key is None:
            yield ("auth",), "ssh_private_key is missing: the key that opens the hosts"
        elif not Path(key).expanduser().is_file():
            yield ("auth", "ssh_private_key"), f"there is no file {key}"
    elif provider["type"] == "aws" and not provider.get("region"):
        yield ("provider",), "region is missing, such as us-east-1"
    if not config.get("auth", {}).get("ssh_user"):
        yield ("auth",), "ssh_user is missing: the user to log in as"
    mounts = config.get("file_mounts", {})
    for wanted, what in ((WORKING_COPY, "the working copy"), (TOKEN, "the token")):
        if wanted not in mounts:
            yield ("file_mounts",), f"{wanted} is missing: {what}, which every node needs"
    yield from _command_problems(config)


def _host_problems(provider: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    if "head_ip" not in provider or "worker_ips" not in provider:
        yield ("provider",), "head_ip and worker_ips are needed"
        return
    for key, address in (
        (("provider", "head_ip"), provider["head_ip"]),
        *((("provider", "worker_ips", i), ip) for i, ip in enumerate(provider["worker_ips"])),
    ):
        if str(address).startswith(PLACEHOLDERS):
            yield key, f"{address} stands for a host of yours; fill in its address"


def _command_problems(config: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    head = config.get("head_start_ray_commands", [])
    starts = [(i, command) for i, command in enumerate(head) if "ray start" in command]
    if not starts:
        yield ("head_start_ray_commands",), "none of the commands is `ray start --head ...`"
    for i, command in starts:
        if "--dashboard-host=127.0.0.1" not in command:
            yield (
                ("head_start_ray_commands", i),
                "`ray start` needs --dashboard-host=127.0.0.1, or the dashboard may be open to all",
            )
    setup = "\n".join(config.get("setup_commands", []))
    where: Key = ("setup_commands",) if setup else ()
    if "RAY_AUTH_MODE=token" not in setup:
        yield (
            where,
            f"RAY_AUTH_MODE=token is not written to {ENVIRONMENT}; without it, whoever reaches a "
            "port of the cluster runs code on it",
        )
    if "ORCH_STORE=" not in setup:
        yield where, f"ORCH_STORE=... is not written to {ENVIRONMENT}; it says where stores are"
