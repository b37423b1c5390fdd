# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of an Arrow stream in pure Python, for programs without pyarrow. Slow: for thousands of rows, not for millions."""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Iterator, Sequence

from ._errors import LogError, from_consumer
from ._library import ArrowArray, ArrowSchema, ArrowStream, library

_NUMBERS = {b"l": ("q", 8), b"i": ("i", 4), b"C": ("B", 1)}


def rows(capsule: object) -> Iterator[dict[str, Any]]:
    """The rows of the stream in a PyCapsule, as dictionaries by column. The capsule is used up."""
    stream = ArrowStream.from_address(stream_of(capsule))
    schema = ArrowSchema()
    _check(stream, stream.get_schema(ctypes.byref(stream), ctypes.byref(schema)))
    try:
        columns = [schema.children[index].contents for index in range(schema.n_children)]
        names = [column.name.decode() for column in columns]
        while True:
            batch = ArrowArray()
            _check(stream, stream.get_next(ctypes.byref(stream), ctypes.byref(batch)))
            if not batch.release:
                break
            try:
                values = [_column(column, batch.children[index].contents) for index, column in enumerate(columns)]
            finally:
                batch.release(ctypes.byref(batch))
            for row in zip(*values):
                yield dict(zip(names, row))
    finally:
        schema.release(ctypes.byref(schema))
        # The capsule's destructor releases the stream.
        del capsule


def stream_of(capsule: object) -> int:
    """The address of the stream in a PyCapsule, which keeps it."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype = ctypes.c_void_p
    get.argtypes = [ctypes.py_object, ctypes.c_char_p]
    place: int = get(capsule, b"arrow_array_stream")
    return place


def _check(stream: ArrowStream, status: int) -> None:
    if status == 0:
        return
    text = stream.get_last_error(ctypes.byref(stream)) or b"the stream failed"
    message = text.decode(errors="replace")
    raise from_consumer(Exception(message)) or LogError(message)


def _column(schema: ArrowSchema, array: ArrowArray) -> Sequence[Any]:
    length = array.length
    values: Sequence[Any]
    if schema.dictionary:
        names = _column(schema.dictionary.contents, array.dictionary.contents)
        # A null row's index may be that of no name.
        values = [names[index] if names else None for index in _numbers(schema.format, array, length)]
    elif schema.format in _NUMBERS:
        values = _numbers(schema.format, array, length)
    elif schema.format == b"b":
        values = _bits(array.buffers[1], length)
    else:
        ends = struct.unpack(f"<{length + 1}i", ctypes.string_at(array.buffers[1], 4 * (length + 1)))
        data = ctypes.string_at(array.buffers[2], ends[-1]) if ends[-1] else b""
        parts = [data[ends[index] : ends[index + 1]] for index in range(length)]
        values = [part.decode() for part in parts] if schema.format == b"u" else parts
    if array.null_count == 0:
        return values
    return [value if valid else None for value, valid in zip(values, _bits(array.buffers[0], length))]


def _numbers(format: bytes, array: ArrowArray, length: int) -> Sequence[int]:
    code, size = _NUMBERS[format]
    return struct.unpack(f"<{length}{code}", ctypes.string_at(array.buffers[1], size * length))


def _bits(place: int, length: int) -> list[bool]:
    data = ctypes.string_at(place, (length + 7) // 8)
    return [bool(data[index >> 3] >> (index & 7) & 1) for index in range(length)]


def struct_counts() -> tuple[int, int]:
    """Arrow structures that the library has handed out in this process, and those that were released."""
    exported, released = ctypes.c_int64(), ctypes.c_int64()
    library().struct_counts(ctypes.byref(exported), ctypes.byref(released))
    return exported.value, released.value
