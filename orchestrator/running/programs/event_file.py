"""Scalars in TensorBoard's event files, whoever wrote them.

A file is a list of records: length, checksum of the length, an ``Event`` of TensorFlow's protocol
buffers, checksum of that. The definitions that come with tensorboardX would import torch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from orchestrator.errors import TrialError

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_CHECKED = 1 << 16
"""Bytes of the longest record whose content is checked; Python is slow, and images are longer."""
_DTYPES = {1: ("<f", "float_val"), 2: ("<d", "double_val"), 19: ("<e", "half_val")}
"""By TensorFlow's number of a type: how a value is packed, and the field that lists it instead."""


class EventFile:
    """Reads the scalars that come into an event file.

    Args:
        path: the file.
        size: its bytes that are passed over.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def scalars(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Read the events that came since, as their steps and scalars.

        Raises:
            TrialError: it is no event file, or broken.
        """
        try:
            if self._path.stat().st_size <= self._size:
                return
            with self._path.open("rb") as file:
                file.seek(self._size)
                data = file.read()
        except FileNotFoundError:
            return  # removed by the program
        except OSError as error:
            raise TrialError(f"{self._path} cannot be read ({error.strerror})") from None
        for record in self._records(data):
            try:
                event = _Event.FromString(record)
            except DecodeError:
                raise self._broken() from None
            found = {_tag(value): _scalar(value) for value in event.summary.value}
            if scalars := {tag: number for tag, number in found.items() if number is not None}:
                yield event.step, scalars

    def _records(self, data: bytes) -> Iterator[bytes]:
        """List the complete records; what follows is still being written."""
        at = 0
        while len(data) - at >= _HEAD.size:
            length, checksum = _HEAD.unpack_from(data, at)
            if _masked_crc(data[at : at + 8]) != checksum:
                raise self._broken()
            begin, end = at + _HEAD.size, at + _HEAD.size + length
            if end + _CHECKSUM.size > len(data):
                return
            record = data[begin:end]
            if length <= _CHECKED and _CHECKSUM.pack(_masked_crc(record)) != data[end : end + 4]:
                raise self._broken()
            at = end + _CHECKSUM.size
            self._size += at - begin + _HEAD.size
            yield record

    def _broken(self) -> TrialError:
        return TrialError(
            f"{self._path} is no event file of TensorBoard, or is broken at byte {self._size:,}: "
            "let one process alone write it, and keep other files with `tfevents` in their names "
            "out of the folder"
        )


def _tag(value: Any) -> str:
    return str(value.tag, errors="backslashreplace")


def _scalar(value: Any) -> float | None:
    """Return what torch and tensorboardX, or TensorFlow 2, have logged as a scalar."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    tensor = value.tensor
    if tensor.dtype not in _DTYPES or tensor.tensor_shape.dim:
        return None
    layout, field = _DTYPES[tensor.dtype]
    packed = tensor.tensor_content
    if not packed:
        listed = getattr(tensor, field) or [0]  # zeros may be left out
        packed = struct.pack("<H" if layout == "<e" else layout, listed[0])
    return float(struct.unpack_from(layout, packed)[0])


def _masked_crc(data: bytes) -> int:
    """Compute the CRC-32C of RFC 3720, rotated and shifted as such files have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in table]
    return table


_TABLE = _table()

_MESSAGES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Event": {"step": (2, "INT64"), "summary": (5, "Summary")},
    "Summary": {"value": (1, "Value", "many")},
    "Value": {"tag": (1, "BYTES"), "simple_value": (2, "FLOAT"), "tensor": (8, "Tensor")},
    "Tensor": {
        "dtype": (1, "INT32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "BYTES"),
        "float_val": (5, "FLOAT", "many"),
        "double_val": (6, "DOUBLE", "many"),
        "half_val": (13, "INT32", "many"),
    },
    "Shape": {"dim": (2, "BYTES", "many")},
}
"""The fields that are read, with numbers and types: those of TensorFlow's event.proto."""


def _event_class() -> Any:
    package = "orchestrator.tensorboard"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, *many) in fields.items():
            described = message.field.add(name=field, number=number)
            described.label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                described.type, described.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                described.type = kinds.Type.Value(f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Event"))


_Event = _event_class()
