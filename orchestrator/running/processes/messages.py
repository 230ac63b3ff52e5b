"""Messages between a worker and the process of its trial: JSON and bytes, nothing to unpickle."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from orchestrator.code.recorder import Loaded, Recorder
from orchestrator.errors import EditedError
from orchestrator.running import failures


class Message(NamedTuple):
    """What one side says to the other.

    Attributes:
        kind: ``start``, ``report``, ``continue``, ``save``, ``close``, ``ended``, ``edited`` or
            ``failed``.
        content: what belongs to it, as plain values.
        state: a checkpoint's state; None without one.
    """

    kind: str
    content: dict[str, Any]
    state: bytes | None


def send(
    connection: Connection[Any, Any],
    kind: str,
    content: Mapping[str, Any],
    state: bytes | None = None,
) -> None:
    """Send a message.

    Raises:
        OSError: the other side is gone.
    """
    has_state = state is not None
    connection.send_bytes(json.dumps([kind, dict(content), has_state]).encode())
    if state is not None:
        connection.send_bytes(state)


def receive(connection: Connection[Any, Any]) -> Message:
    """Wait for a message.

    Raises:
        EOFError: the other side is gone.
    """
    kind, content, has_state = json.loads(connection.recv_bytes())
    return Message(kind, content, connection.recv_bytes() if has_state else None)


def require_success(last: Message) -> None:
    """Raise what the last message of a trial's process says, if it has not ended well.

    Raises:
        EditedError: a file that it imports was edited while the sweep ran.
        OrchError: the trial has failed.
    """
    if last.kind == "edited":
        raise EditedError(last.content["reason"])
    if last.kind == "failed":
        raise failures.from_message(last.content)


def loading(recorder: Recorder) -> dict[str, Any]:
    """Make the part of a message that says what a process has loaded since it last said so."""
    loaded = recorder.loaded()
    files = {name: base64.b64encode(data).decode() for name, data in loaded.files.items()}
    return {"loading": [files, loaded.modules, loaded.packages]}


def loaded(content: dict[str, Any]) -> Loaded:
    """Take that part out of a message."""
    files, modules, packages = content.pop("loading")
    contents = {name: base64.b64decode(data) for name, data in files.items()}
    return Loaded(contents, modules, packages)
