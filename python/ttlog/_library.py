# SPDX-License-Identifier: GPL-2.0-or-later
"""libttlogarrow.so through ctypes. Sources/CArrow/include/ttlogarrow.h documents the functions."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib.resources
import os
import threading
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Optional

from ._errors import LogError

ABI_VERSION = 1
FAILED = 1
SKIP_DAMAGE = 1
PLAIN_STRINGS = 2
NO_CACHE = 1
LINKAGE_NAMES = 2
NO_END = 2**64 - 1


class Error(ctypes.Structure):
    """struct ttla_error"""

    _fields_ = [("message", c_void_p), ("file", c_void_p), ("offset", c_int64)]


class Request(ctypes.Structure):
    """struct ttla_request"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("vcpu", c_int32),
        ("reserved", c_uint32),
        ("start", c_uint64),
        ("stop", c_uint64),
        ("columns", c_char_p),
        ("kinds", c_char_p),
        ("symbols", c_void_p),
    ]


class Missing(ctypes.Structure):
    """struct ttla_missing"""

    _fields_ = [
        ("size", c_uint32),
        ("parts", c_uint32),
        ("chunks", c_uint64),
        ("records", c_uint64),
        ("bytes", c_uint64),
        ("unwritten", c_uint64),
        ("truncated_at", c_int64),
    ]


class SymbolFiles(ctypes.Structure):
    """struct ttla_symbol_files"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("kernels", POINTER(c_char_p)),
        ("programs", POINTER(c_char_p)),
        ("modules", c_char_p),
        ("module_list", c_char_p),
        ("kaslr", c_char_p),
    ]


class ArrowSchema(ctypes.Structure):
    """struct ArrowSchema"""


class ArrowArray(ctypes.Structure):
    """struct ArrowArray"""


class ArrowStream(ctypes.Structure):
    """struct ArrowArrayStream"""


ArrowSchema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))),
    ("dictionary", POINTER(ArrowSchema)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowSchema))),
    ("private_data", c_void_p),
]
ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowArray))),
    ("private_data", c_void_p),
]
ArrowStream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, POINTER(ArrowStream), POINTER(ArrowSchema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, POINTER(ArrowStream), POINTER(ArrowArray))),
    ("get_last_error", ctypes.CFUNCTYPE(c_char_p, POINTER(ArrowStream))),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowStream))),
    ("private_data", c_void_p),
]


class Library:
    """The functions of the library, with their types. `CDLL` releases the interpreter's lock during each call."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._library = ctypes.CDLL(path)
        text, log = c_void_p, c_void_p
        self.abi_version = self._function("ttla_abi_version", c_int32)
        found = self.abi_version()
        if found != ABI_VERSION:
            raise ImportError(f"{path} has interface {found}; this package needs {ABI_VERSION}")
        self.free = self._function("ttla_free", None, text)
        self.error_clear = self._function("ttla_error_clear", None, POINTER(Error))
        self.open = self._function("ttla_open", c_int32, c_char_p, POINTER(log), POINTER(Error))
        self.close = self._function("ttla_close", None, log)
        self.describe = self._function("ttla_describe", text, log)
        self.count_missing = self._function("ttla_count_missing", None, log, POINTER(Missing))
        self.stream = self._function(
            "ttla_stream", c_int32, log, c_char_p, POINTER(Request), c_void_p, POINTER(Error)
        )
        self.columns = self._function("ttla_columns", text, c_char_p, c_char_p)
        self.partitions = self._function(
            "ttla_partitions", c_int32, log, c_char_p, c_int32, c_int32, POINTER(c_uint64)
        )
        self.diverge = self._function("ttla_diverge", c_int32, log, log, c_int32, POINTER(c_void_p), POINTER(Error))
        self.divergence_json = self._function("ttla_divergence_json", text, c_void_p)
        self.divergence_stream = self._function("ttla_divergence_stream", None, c_void_p, c_void_p)
        self.divergence_free = self._function("ttla_divergence_free", None, c_void_p)
        self.symbols_open = self._function(
            "ttla_symbols_open", c_int32, log, POINTER(SymbolFiles), POINTER(c_void_p), POINTER(Error)
        )
        self.symbols_describe = self._function("ttla_symbols_describe", text, c_void_p)
        self.symbols_close = self._function("ttla_symbols_close", None, c_void_p)
        self.names = self._function(
            "ttla_names", c_int32, c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_char_p, c_uint32, c_void_p, POINTER(Error)
        )
        self.frames = self._function(
            "ttla_frames", c_int32, c_void_p, c_void_p, c_int64, c_char_p, c_void_p, POINTER(Error)
        )
        self.scan = self._function("ttla_scan", c_int64, log, c_char_p)
        self.struct_counts = self._function("ttla_struct_counts", None, POINTER(c_int64), POINTER(c_int64))
        self.stream_new = self._function("ttla_stream_new", c_void_p)
        destructor = ctypes.cast(self._library.ttla_capsule_destructor, c_void_p)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [c_void_p, c_char_p, c_void_p]
        self._new_capsule: Callable[[int], object] = lambda place: new(place, b"arrow_array_stream", destructor)

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.restype = result
        function.argtypes = arguments
        return function

    def text(self, pointer: Optional[int]) -> Optional[str]:
        """Takes a text that the library returned."""
        if pointer is None:
            return None
        try:
            return ctypes.string_at(pointer).decode(errors="replace")
        finally:
            self.free(pointer)

    def check(self, status: int, error: Error) -> None:
        """Raises the error of a function that failed."""
        if status == 0:
            return
        try:
            message = ctypes.string_at(error.message).decode(errors="replace") if error.message else "unknown error"
            file = ctypes.string_at(error.file).decode(errors="replace") if error.file else None
            raise LogError(message, file, error.offset if error.offset >= 0 else None)
        finally:
            self.error_clear(byref(error))

    def capsule(self, fill: Callable[[int], None]) -> object:
        """A PyCapsule of a new stream that `fill` opens."""
        place = self.stream_new()
        capsule = self._new_capsule(place)
        fill(place)
        return capsule


_lock = threading.Lock()
_library: Optional[Library] = None
# The package may be in a zip file (Spark's --py-files): the library then lies in a temporary file meanwhile.
_files = contextlib.ExitStack()
atexit.register(_files.close)


def library() -> Library:
    """The library, loaded at the first call. `TTLOG_LIBRARY` names another file."""
    global _library
    with _lock:
        if _library is None:
            path = os.environ.get("TTLOG_LIBRARY")
            if not path:
                packaged = importlib.resources.files(__package__) / "libttlogarrow.so"
                path = str(_files.enter_context(importlib.resources.as_file(packaged)))
            _library = Library(path)
        return _library
