"""How many requests commands send to a bucket, for a small store and a large one.

The bucket is on moto's server of the protocol of S3, on this machine. The sweeps have finished.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from benchmarks._measure import Record, Target, main, ratio
from benchmarks._sweeps import Folder, folder

SIZES = (10, 10_000)
COMMANDS = ("status", "plan", "table", "sweep")
SAME = Target("the same number", lambda value: value == 1)


class Counted:
    """An application that counts its requests."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self.requests = 0

    def __call__(
        self, environment: dict[str, Any], respond: Callable[..., object]
    ) -> Iterable[bytes]:
        """Answer a request."""
        self.requests += 1
        answer: Iterable[bytes] = self._app(environment, respond)
        return answer


@contextmanager
def serving() -> Iterator[Counted]:
    """Serve an empty bucket called ``bench``, and say in the environment where it is."""
    logging.getLogger("werkzeug").setLevel("ERROR")
    app = Counted()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        boto3.client("s3").create_bucket(Bucket="bench")
        yield app
    finally:
        server.shutdown()
        thread.join()


def upload(here: Folder, root: str) -> None:
    """Copy the stores of a folder into the bucket."""
    client = boto3.client("s3")
    for path in (here.path / "results").rglob("*"):
        if path.is_file():
            name = path.relative_to(here.path / "results")
            client.upload_file(str(path), "bench", f"{root}/{name}")


def counts(app: Counted, here: Folder, trials: int) -> dict[str, int]:
    """Count the requests of each command on a finished sweep."""
    here.orch("sweep", here.write("done", search={"y": list(range(trials))}), "--runner", "inline")
    for log in (here.path / "results/done/logs").iterdir():
        log.unlink()  # ten thousand small files, which none of the commands reads
    upload(here, str(trials))
    found = {}
    orch(here, "sweep", trials)  # reads the files through, once
    for command in COMMANDS:
        before = app.requests
        orch(here, command, trials)
        found[command] = app.requests - before
    return found


def orch(here: Folder, command: str, trials: int) -> None:
    """Run a command on a store in the bucket."""
    words = [command, "done.yaml", "--store", f"s3://bench/{trials}"]
    line = [sys.executable, "-m", "orchestrator", *words]
    subprocess.run(line, cwd=here.path, check=True, capture_output=True)


def benchmark() -> Iterator[Record]:
    """Compare the two sizes."""
    with serving() as app:
        found = []
        for trials in SIZES:
            with folder() as here:
                found.append(counts(app, here, trials))
    few, many = found
    for command in COMMANDS:
        claim = f"`orch {command}` with {SIZES[1]:,} finished trials against {SIZES[0]}"
        yield ratio(claim, [many[command]], [few[command]], "requests", SAME)


if __name__ == "__main__":
    main(benchmark)
