"""What an unfinished trial needs to go on: its state, and its rows so far, in one object."""

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
from orchestrator.store.schema import to_parquet, with_ids

_DAMAGE = (
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
"""What damaged bytes make of reading a checkpoint."""


class DamagedError(Exception):
    """The bytes are not a whole checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """The last epoch that a trial saved."""

    row: dict[str, Any]
    """The trial's ids, seed and params, as its row in ``trials`` will have them."""
    code_digest: str
    state: bytes
    epochs: pa.Table
    """One row per epoch so far: ``epoch``, the metrics, ``seconds``."""
    probes: pa.Table
    """The probe rows so far, with the columns of `schema.PROBE_SCHEMA`."""
    seconds: float
    """Spent on the trial so far, set-up included."""
    attempts: int
    started_at: datetime
    device: str | None
    facts: dict[str, str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the trial yields."""
        return tuple(name for name in self.epochs.column_names if name not in {"epoch", "seconds"})

    def to_bytes(self) -> bytes:
        """Write the checkpoint as a zip, whose checksums tell if it is damaged."""
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
        """Show the trial's rows so far as those of a finished trial, but for its status."""
        if table != "trials":
            return with_ids(self.row, getattr(self, table), schema)
        last = self.epochs.slice(len(self.epochs) - 1).to_pylist()[0]
        row = {**self.row, **last, "status": Status.UNFINISHED, "epochs_run": last["epoch"]}
        names = ("attempts", "seconds", "started_at", "code_digest", "device")
        return with_ids({**row, **{name: getattr(self, name) for name in names}}, None, schema)

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
        except _DAMAGE as error:
            raise DamagedError(str(error)) from None
