"""Connect to buckets: with retries for passing faults, and errors that say what to do.

Region, endpoint and credentials come from the environment of each process, never from an
address, since addresses appear in command lines, logs and reports.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cache

import pyarrow as pa
from pyarrow import fs

from orchestrator.errors import StoreError

ATTEMPTS = 9
"""Attempts per request to S3; the pauses between them double from 50 ms, to 13 s in all."""
_STALLED = 5.0
"""Seconds without a byte after which a request to S3 is retried."""
_RETRY_LIMIT = timedelta(seconds=15)
"""How long a request to Google's storage is retried."""

_ADDRESS = re.compile(
    r"((s3|gs|gcs)://[\w.-]+|(?!s3:|gs:|gcs:)[a-z][a-z0-9+.-]*://[\w.-]*(@[\w.-]+)?(:\d+)?)"
    r"(/[^?#@]*)?",
    re.ASCII,
)
_ENDPOINT = re.compile(r"(https?://)?(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d+)?/?", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,15}(?=://)", re.ASCII)

_HINTS = {
    "NO_SUCH_BUCKET|Bucket '.*' not found|NOT_FOUND": (
        "there is no such bucket; create it, or name another one with --store"
    ),
    "ACCESS_DENIED|ACCESS_KEY|SIGNATURE|EXPIRED|TOKEN|UNRECOGNIZED|UNAUTHENTICATED|PERMISSION": (
        "access is refused; set credentials with read and write access in the environment "
        "of this process, and of each node of a cluster"
    ),
    "NETWORK_CONNECTION|UNAVAILABLE|curl|CURL|[Tt]imeout": (
        "it cannot be reached; check the network, and the endpoint if the environment sets one, "
        "then run the same command again"
    ),
}
"""What is wrong and what to do, by a pattern of PyArrow's error message."""


def connect(address: str) -> tuple[fs.FileSystem, str]:
    """Open the file system of an address, and split off the path within it.

    Raises:
        StoreError: it is not a store's address, or holds settings or credentials.
    """
    if not _ADDRESS.fullmatch(address):
        scheme_match = _SCHEME.match(address)
        raise StoreError(
            f"{scheme_match[0] if scheme_match else ''}://…: not a store's address; expected "
            "s3://BUCKET/FOLDER, with credentials, region and endpoint in the environment"
        )
    scheme, _, path = address.rstrip("/").partition("://")
    bucket = path.partition("/")[0]
    try:
        if scheme == "s3":
            return _s3(bucket, _endpoint()), path
        if scheme in {"gs", "gcs"}:
            return _google(os.environ.get("CLOUD_STORAGE_EMULATOR_ENDPOINT")), path
        connection: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, pa.ArrowException):
            raise StoreError(f"{address}: not a store's address ({error})") from None
        raise refusal(error, address) from None
    return connection


def _endpoint() -> str | None:
    """Read the endpoint from the environment, which PyArrow's constructor does not do."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            if not _ENDPOINT.fullmatch(url):
                raise StoreError(f"{name} is not an endpoint; expected http(s)://HOST:PORT")
            return url
    return None


@cache
def _s3(bucket: str, endpoint: str | None) -> fs.S3FileSystem:
    """Connect to S3, once per bucket."""
    # Only `from_uri` looks up the region of a bucket.
    region = fs.S3FileSystem.from_uri(f"s3://{bucket}")[0].region
    return fs.S3FileSystem(
        region=region,
        endpoint_override=endpoint,
        # The standard strategy has a budget of retries that many workers use up in a bad minute.
        retry_strategy=fs.AwsDefaultS3RetryStrategy(max_attempts=ATTEMPTS),
        request_timeout=_STALLED,
        connect_timeout=_STALLED,
        allow_delayed_open=True,  # one request for a small file instead of three
    )


@cache
def _google(emulator: str | None) -> fs.GcsFileSystem:
    """Connect to Google's storage, or to an emulator of it, which takes no credentials."""
    return fs.GcsFileSystem(anonymous=emulator is not None, retry_time_limit=_RETRY_LIMIT)


def make_folder(system: fs.FileSystem, path: str) -> None:
    """Make a folder: S3 has none; Google's storage lists only folders that were made."""
    if isinstance(system, fs.S3FileSystem):
        return
    if isinstance(system, fs.GcsFileSystem):
        (bucket,) = system.get_file_info([path.partition("/")[0]])
        if bucket.type == fs.FileType.NotFound:  # `create_dir` would make the bucket
            raise FileNotFoundError("NOT_FOUND")
    system.create_dir(path, recursive=True)


def refusal(error: Exception, place: str) -> StoreError:
    """Say what is wrong with a bucket and what to do.

    Args:
        error: the error from PyArrow.
        place: a file or folder in the bucket.
    """
    text = (str(error).splitlines() or [type(error).__name__])[0]
    for pattern, hint in _HINTS.items():
        if re.search(pattern, text):
            return StoreError(f"{place}: {hint}")
    return StoreError(f"{place}: {text.partition(' (Request ID')[0]}")
