"""Notices at once that Ray's head has died, which Ray itself says after a minute."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray.tune import registry

from orchestrator.errors import HeadDiedError
from orchestrator.running.clock import SYSTEM

_FAILURES = 5
"""Attempts to reach a head elsewhere, a second apart, of which all fail once it is dead."""


@contextlib.contextmanager
def required() -> Iterator[None]:
    """End the block once the head has died.

    Raises:
        HeadDiedError: it has.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread can be interrupted
        return
    failures = 0
    died = threading.Event()

    def look() -> None:
        nonlocal failures
        failures = 0 if _answers() else failures + 1
        if not died.is_set() and failures >= (1 if _own_node() else _FAILURES):
            died.set()
            _thread.interrupt_main()

    try:
        with SYSTEM.repeating(look, 1, "head of Ray"):
            yield
    except KeyboardInterrupt:
        if died.is_set():
            raise HeadDiedError(
                "Ray's head process has died; finished trials are kept, and the others go on from "
                "their checkpoints; run the same command again to continue"
            ) from None
        raise


def shut_down() -> None:
    """Leave Ray, or end what is left of it if its head is dead: Ray would wait for that."""
    node = _own_node()
    if not ray.is_initialized() or _answers():
        ray.shutdown()
        return
    for at_exit in (ray_worker.shutdown, registry._unregister_all):
        atexit.unregister(at_exit)
    if node is not None:
        node.kill_all_processes(check_alive=False, allow_graceful=False)


def _own_node() -> Any:
    """Return the node that this process has started; None of a cluster that was there before."""
    node = ray_worker._global_node
    return node if node is not None and node.head else None


def _answers() -> bool:
    """Tell whether the head lives: its process here, or its port elsewhere."""
    node = _own_node()
    if node is not None:
        (head,) = node.all_processes[ray_constants.PROCESS_TYPE_GCS_SERVER]
        return bool(head.process.poll() is None)
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True
