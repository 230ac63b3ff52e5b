"""Checkpoints: the state of an unfinished trial and its rows so far, in one file."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.columns import Status
from orchestrator.store.epochs import last_values, metric_names
from orchestrator.store.schema import to_parquet, with_ids

_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    pa.ArrowException,
    EOFError,
    OSError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged checkpoint raises."""


class DamagedError(Exception):
    """The bytes are not a whole checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A trial as of the last epoch that it saved."""

    row: dict[str, Any]
    """The trial's ids, seed and params, as in its later row of ``trials``."""
    code_digest: str
    state: bytes
    epochs: pa.Table
    """One row per epoch so far: ``epoch``, the metrics, ``seconds``."""
    probes: pa.Table
    """The probe rows so far, with the columns of `schema.PROBE_SCHEMA`."""
    seconds: float
    """Time spent on the trial so far, set-up included."""
    attempts: int
    started_at: datetime
    device: str | None
    facts: dict[str, str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the trial yields."""
        return metric_names(self.epochs)

    def to_bytes(self) -> bytes:
        """Write the checkpoint as a zip, whose checksums reveal damage."""
        facts = {
            "row": self.row,
            "code_digest": self.code_digest,
            "seconds": self.seconds,
            "attempts": self.attempts,
            "started_at": self.started_at.isoformat(),
            "device": self.device,
            "facts": self.facts,
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("facts.json", json.dumps(facts))
            archive.writestr("epochs.parquet", to_parquet(self.epochs).to_pybytes())
            archive.writestr("probes.parquet", to_parquet(self.probes).to_pybytes())
            archive.writestr("state", self.state)
        return buffer.getvalue()

    def rows(self, table: str, schema: pa.Schema) -> pa.Table:
        """Build the trial's rows so far like those of a finished trial, except for its status."""
        if table != "trials":
            return with_ids(self.row, getattr(self, table), schema)
        names = ("attempts", "seconds", "started_at", "code_digest", "device")
        row = {
            **self.row,
            **last_values(self.epochs),
            "status": Status.UNFINISHED,
            "epochs_run": len(self.epochs),
            **{name: getattr(self, name) for name in names},
        }
        return with_ids(row, None, schema)

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Read a checkpoint back.

        Raises:
            DamagedError: the bytes are not a whole checkpoint.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                facts = json.loads(archive.read("facts.json"))
                facts["started_at"] = datetime.fromisoformat(facts["started_at"])
                return cls(
                    state=archive.read("state"),
                    epochs=pq.read_table(io.BytesIO(archive.read("epochs.parquet"))),
                    probes=pq.read_table(io.BytesIO(archive.read("probes.parquet"))),
                    **facts,
                )
        except _DAMAGE_ERRORS as error:
            raise DamagedError(str(error)) from None
