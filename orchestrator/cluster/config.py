"""Reads a cluster file, and checks what it needs beyond Ray's own schema."""

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
"""Documentation addresses (RFC 5737), which the shipped files contain."""


@dataclass(frozen=True)
class Cluster:
    """A cluster file, parsed."""

    path: Path
    config: dict[str, Any]
    """The content in Ray's format, as plain lists and dictionaries."""

    @property
    def name(self) -> str:
        """The cluster's name in Ray."""
        return str(self.config["cluster_name"])

    @property
    def provider(self) -> dict[str, Any]:
        """The section that says where the hosts come from."""
        return dict(self.config["provider"])

    @property
    def on_prem(self) -> bool:
        """Whether the hosts exist already, instead of being started in a cloud."""
        return bool(self.provider["type"] == "local")

    @property
    def nodes(self) -> int:
        """The number of nodes when the cluster is up and idle."""
        types = self.config.get("available_node_types", {})
        if self.on_prem:
            return 1 + len(self.provider["worker_ips"])
        return 1 + sum(int(kind.get("min_workers", 0)) for kind in types.values())


def load(path: Path) -> Cluster:
    """Read a cluster file.

    Raises:
        ClusterError: Ray would refuse the file, or the cluster would be open to others; each
            problem is named with file, line and key.
    """
    document = source.read(path)
    if "scheduler" in document.data:
        raise ClusterError(
            f"{path} is for Slurm, where nothing is to be started or stopped: "
            f"`orch sweep FILE --cluster {path}` asks for nodes, and its end returns them"
        )
    config = _plain(document.data)
    problems = list(_ray_problems(config)) or list(_problems(config))
    if problems:
        lines = (f"{document.place(key)}: {_dotted(key)}{text}" for key, text in problems)
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
    import jsonschema  # here, since its import would slow down every other command

    # Importing Ray takes a second, and would fix whether tokens are used.
    ray_folder = Path(str(metadata.distribution("ray").locate_file("ray")))
    schema = json.loads((ray_folder / "autoscaler/ray-schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in sorted(validator.iter_errors(config), key=lambda error: list(error.path)):
        yield tuple(error.path), str(error.message)


def _problems(config: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    """Find what Ray accepts although the cluster would not start, or would be open to others."""
    provider = config["provider"]
    if provider["type"] == "local":
        yield from _host_problems(provider)
        key = config.get("auth", {}).get("ssh_private_key")
        if key is None:
            yield ("auth",), "ssh_private_key is missing: the private key for SSH to the hosts"
        elif not Path(key).expanduser().is_file():
            yield ("auth", "ssh_private_key"), f"there is no file {key}"
    elif provider["type"] == "aws" and not provider.get("region"):
        yield ("provider",), "region is missing, such as us-east-1"
    if not config.get("auth", {}).get("ssh_user"):
        yield ("auth",), "ssh_user is missing: the user to log in as"
    mounts = config.get("file_mounts", {})
    for mount, what in ((WORKING_COPY, "the working copy"), (TOKEN, "the token")):
        if mount not in mounts:
            yield ("file_mounts",), f"{mount} is missing: {what}, which every node needs"
    yield from _command_problems(config)


def _host_problems(provider: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    if "head_ip" not in provider or "worker_ips" not in provider:
        yield ("provider",), "head_ip and worker_ips are required"
        return
    for key, address in (
        (("provider", "head_ip"), provider["head_ip"]),
        *((("provider", "worker_ips", i), ip) for i, ip in enumerate(provider["worker_ips"])),
    ):
        if str(address).startswith(PLACEHOLDERS):
            yield key, f"{address} is a placeholder; replace it with the address of a host"


def _command_problems(config: dict[str, Any]) -> Iterator[tuple[Key, str]]:
    commands = config.get("head_start_ray_commands", [])
    starts = [(i, command) for i, command in enumerate(commands) if "ray start" in command]
    if not starts:
        yield ("head_start_ray_commands",), "none of the commands is `ray start --head ...`"
    for i, command in starts:
        if "--dashboard-host=127.0.0.1" not in command:
            yield (
                ("head_start_ray_commands", i),
                "`ray start` needs --dashboard-host=127.0.0.1, or others may reach the dashboard",
            )
    setup = "\n".join(config.get("setup_commands", []))
    key: Key = ("setup_commands",) if setup else ()
    if "RAY_AUTH_MODE=token" not in setup:
        yield (
            key,
            f"RAY_AUTH_MODE=token is not written to {ENVIRONMENT}; without it, anyone who reaches "
            "a port of the cluster can run code on it",
        )
    if "ORCH_STORE=" not in setup:
        yield (
            key,
            f"ORCH_STORE=... is not written to {ENVIRONMENT}; it sets the folder of the stores",
        )
