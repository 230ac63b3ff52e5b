"""The page of `orch watch`: its process, and what it answers."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from support.folder import Folder
from support.waiting import HANG_SECONDS, until


@dataclass
class Page:
    """A page that is served."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str = "", *, method: str = "GET", **headers: str) -> Answer:
        """Ask for an address below the page's; header names have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, None, named, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=HANG_SECONDS) as answer:  # noqa: S310
                return Answer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers))

    @contextlib.contextmanager
    def updates(self) -> Iterator[Iterator[str]]:
        """Listen to its updates: the JSON text of each."""
        with urllib.request.urlopen(f"{self.url}updates", timeout=HANG_SECONDS) as stream:  # noqa: S310
            yield _data(stream)

    def shown(self) -> dict[str, Any]:
        """Wait for the first update with progress."""
        with self.updates() as updates:
            return next(update for update in map(json.loads, updates) if "progress" in update)

    def end(self, by: int = signal.SIGINT) -> int:
        """End it and return its exit code."""
        self.process.send_signal(by)
        return self.process.wait(HANG_SECONDS)


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    text: str
    headers: dict[str, str]


def _data(stream: IO[bytes]) -> Iterator[str]:
    for line in stream:
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").decode()


@contextlib.contextmanager
def watching(folder: Folder, *arguments: object, **environment: str) -> Iterator[Page]:
    """Run `orch watch` while the block runs; its output is in the file `watch.log`."""
    said = folder.path / "watch.log"
    with said.open("w") as output:
        process = subprocess.Popen(
            folder.command("watch", *arguments),
            cwd=folder.path, env=folder.environment | environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        found = until(
            lambda: re.search(r"http://\S+", said.read_text()),
            process, what="the page's address", output=said.read_text,
        )  # fmt: skip
        yield Page(found[0], process)
    finally:
        process.kill()
        process.wait()
