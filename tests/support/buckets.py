"""Servers of the protocols of S3 and of Google Cloud Storage, each in its own process."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.waiting import HANG_SECONDS, until

SECRET = "s3cr3t/Key+of-nobody"  # noqa: S105
ACCESS = "AKIDOFNOBODY"


@dataclass(frozen=True)
class Bucket:
    """An empty bucket on a server of this machine."""

    address: str
    """As ``--store`` takes it."""
    server: str
    """The server's host and port."""
    environment: dict[str, str]
    """The environment variables with which a process reaches it."""

    @property
    def name(self) -> str:
        """Its address without the scheme."""
        return self.address.partition("://")[2]

    def behind(self, url: str) -> dict[str, str]:
        """Return the environment variables with which a process reaches it through a proxy."""
        endpoints = {"AWS_ENDPOINT_URL", "CLOUD_STORAGE_EMULATOR_ENDPOINT"}
        return {n: url if n in endpoints else v for n, v in self.environment.items()}


@contextmanager
def s3_server() -> Iterator[str]:
    """Start moto's server and yield its host and port."""
    with _serving(["moto_server", "-H", "127.0.0.1", "-p", "0"]) as server:
        yield server


@contextmanager
def google_server() -> Iterator[str]:
    """Start an emulator of Google Cloud Storage and yield its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["gcp-storage-emulator", "start", "-H", "127.0.0.1", "--port", port, "-M"]
    with _serving(command) as server:
        yield server


@contextmanager
def _serving(command: list[str]) -> Iterator[str]:
    program, *arguments = command
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments], stdout=output, stderr=output
        )
        try:
            yield _address(process, output.fileno())
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], output: int) -> str:
    """Wait until a server listens and return the address that it prints."""
    printed = Path(f"/proc/self/fd/{output}")

    def address() -> str | None:
        found = re.search(r"127\.0\.0\.1:([1-9]\d*)", printed.read_text())
        if found is None:
            return None
        try:
            socket.create_connection(("127.0.0.1", int(found[1]))).close()
        except ConnectionRefusedError:
            return None
        return found[0]

    return str(until(address, process, what="the server to listen", output=printed.read_text))


def s3_bucket(server: str) -> Bucket:
    """Create a bucket on an S3 server."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    ask(f"http://{server}/{name}", "PUT")
    return Bucket(
        f"s3://{name}",
        server,
        {
            "AWS_ENDPOINT_URL": f"http://{server}",
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )


def google_bucket(server: str) -> Bucket:
    """Create a bucket on a Google Cloud Storage server."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    ask(f"http://{server}/storage/v1/b?project=toy", "POST", f'{{"name": "{name}"}}'.encode())
    return Bucket(f"gs://{name}", server, {"CLOUD_STORAGE_EMULATOR_ENDPOINT": f"http://{server}"})


def ask(url: str, method: str, data: bytes | None = None) -> bytes:
    """Send one request to a test's server and return the response body."""
    headers = {"Content-Type": "text/plain" if "moto-api" in url else "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=HANG_SECONDS) as answer:  # noqa: S310
        return bytes(answer.read())
