# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of addresses."""

from __future__ import annotations

import ctypes
import json
import os
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Iterable, NamedTuple, Optional, Sequence, Union, overload

from ._library import LINKAGE_NAMES, NO_CACHE, PLAIN_STRINGS, Error, SymbolFiles, library
from ._stream import ArrowSource

if TYPE_CHECKING:
    import pyarrow

    from ._log import Log, Path

_MASK = 2**64 - 1
_REMEDIES = {
    None: "",
    "give-load-address": "; give PROGRAM@ADDRESS, the lowest address that it was mapped to (/proc/PID/maps)",
    "add-as-kernel": "; give it as a kernel: symbols(FILE)",
}


class SymbolWarning(UserWarning):
    """A symbol file serves, but names from it may be missing or wrong."""


class SymbolFile(NamedTuple):
    """A symbol file, and where it was loaded."""

    path: str
    #: Bytes that its addresses in the run are above those that it was linked to.
    slide: int
    #: The unsigned addresses of the run that it answers for: start, and the one after the last.
    addresses: range
    #: Function symbols of its symbol table.
    symbols: int
    #: Functions and inlined copies that its debug information describes.
    functions: int


class Symbols:
    """The symbol files of a run, each where it was loaded; `Log.symbols` opens them.

    Addresses are 64-bit integers, signed (as streams have them) or unsigned. The methods `name`, `function` and `line` take

    - an int, and return a str, or None where no file knows the address;
    - a list, tuple or range of them (None: unknown), and return a list of the same length;
    - an array of pyarrow, NumPy, pandas or Polars, and return a `pyarrow.DictionaryArray` of the same length with nulls. This
      needs pyarrow.

    Attributes:
        files: the files, with their places.
        notes: how places were found, in sentences. What is wrong with a file is a `SymbolWarning`.
    """

    def __init__(
        self,
        log: Optional[Log],
        files: Sequence[Path] = (),
        programs: Sequence[Path] = (),
        modules: Optional[Path] = None,
        module_list: Optional[Path] = None,
        kaslr: Union[str, int] = "auto",
        cache: bool = True,
        demangle: bool = True,
    ) -> None:
        if not files and not programs and modules is None:
            raise ValueError("no symbol file")
        request = SymbolFiles(
            size=ctypes.sizeof(SymbolFiles),
            flags=(0 if cache else NO_CACHE) | (0 if demangle else LINKAGE_NAMES),
            kernels=_paths(files),
            programs=_paths(programs),
            modules=None if modules is None else os.fsencode(modules),
            module_list=None if module_list is None else os.fsencode(module_list),
            kaslr=str(kaslr).encode(),
        )
        handle, error = ctypes.c_void_p(), Error()
        status = library().symbols_open(
            None if log is None else log._handle_or_raise(), ctypes.byref(request), ctypes.byref(handle), ctypes.byref(error)
        )
        library().check(status, error)
        self._handle = handle.value or 0
        self._release = weakref.finalize(self, library().symbols_close, self._handle)
        known = json.loads(library().text(library().symbols_describe(self._handle)) or "{}")
        self.files = [
            SymbolFile(
                entry["path"], int(entry["slide"]), range(int(entry["from"], 16), int(entry["to"], 16)),
                entry["symbols"], entry["functions"],
            )
            for entry in known["modules"]
        ]
        self.notes: list[str] = [notice["text"] for notice in known["notices"] if not notice["is_warning"]]
        for notice in known["notices"]:
            if notice["is_warning"]:
                warnings.warn(notice["text"] + _REMEDIES.get(notice["remedy"], ""), SymbolWarning, stacklevel=3)

    # -- One text an address

    @overload
    def name(self, addresses: int) -> Optional[str]: ...
    @overload
    def name(self, addresses: Union[list[int], list[Optional[int]], tuple[int, ...], range]) -> list[Optional[str]]: ...
    @overload
    def name(self, addresses: Any) -> pyarrow.DictionaryArray: ...
    def name(self, addresses: Any) -> Any:
        """Function and offset, and the functions inlined there: `inlined+0x4 @ foo+0x12`, as `bts-dump --symbols` prints it."""
        return self._texts("name", addresses)

    @overload
    def function(self, addresses: int) -> Optional[str]: ...
    @overload
    def function(self, addresses: Union[list[int], list[Optional[int]], tuple[int, ...], range]) -> list[Optional[str]]: ...
    @overload
    def function(self, addresses: Any) -> pyarrow.DictionaryArray: ...
    def function(self, addresses: Any) -> Any:
        """The function whose code holds the address: `foo`."""
        return self._texts("function", addresses)

    @overload
    def line(self, addresses: int) -> Optional[str]: ...
    @overload
    def line(self, addresses: Union[list[int], list[Optional[int]], tuple[int, ...], range]) -> list[Optional[str]]: ...
    @overload
    def line(self, addresses: Any) -> pyarrow.DictionaryArray: ...
    def line(self, addresses: Any) -> Any:
        """Source file and line of the instruction, in the innermost inlined function: `fs/namei.c:123`."""
        return self._texts("line", addresses)

    # -- Tables

    def names(self, addresses: Any, columns: Optional[Sequence[str]] = None, strings: str = "dictionary") -> ArrowSource:
        """One row an address, in order.

        Columns: `address` (int64), `name` (dictionary), `function` (dictionary), `line` (dictionary).
        """
        wanted = None if columns is None else ",".join(columns).encode()
        flags = PLAIN_STRINGS if strings == "plain" else 0
        found = _Addresses(addresses)

        def fill(place: int) -> None:
            error = Error()
            status = library().names(
                self._handle, found.values, found.count, found.validity, found.offset, wanted, flags, place, ctypes.byref(error)
            )
            library().check(status, error)

        return _Answer(self, fill)

    def frames(self, addresses: Any, columns: Optional[Sequence[str]] = None) -> ArrowSource:
        """One row a function that an address is in, the innermost inlined one first.

        Columns: `row` (int64), `depth` (int32), `address` (int64), `function` (text), `offset` (int64, bytes), `file` (text),
        `line` (int32), `is_inlined` (bool), `module` (text). `row` is the number of the address, from 0; one that no file
        knows has no row.
        """
        wanted = None if columns is None else ",".join(columns).encode()
        found = _Addresses(addresses)

        def fill(place: int) -> None:
            error = Error()
            status = library().frames(self._handle, found.values, found.count, wanted, place, ctypes.byref(error))
            library().check(status, error)

        return _Answer(self, fill)

    def _texts(self, column: str, addresses: Any) -> Any:
        if isinstance(addresses, int):
            return next(row[column] for row in self.names([addresses], [column], "plain").rows())
        if isinstance(addresses, (list, tuple, range)):
            return [row[column] for row in self.names(addresses, [column]).rows()]
        texts = self.names(addresses, [column]).to_arrow()[column].unify_dictionaries().combine_chunks()
        return texts

    def __repr__(self) -> str:
        return f"<ttlog.Symbols {', '.join(file.path for file in self.files)}>"


class _Answer(ArrowSource):
    """Names of addresses; keeps the symbols."""

    def __init__(self, symbols: Symbols, fill: Any) -> None:
        self._symbols = symbols
        self._fill = fill
        # A wrong request fails here.
        self.__arrow_c_stream__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return library().capsule(self._fill)


class _Addresses:
    """Addresses in memory: a pointer to 64-bit integers, and a bitmap of those that are known."""

    def __init__(self, addresses: Any) -> None:
        self.validity: Optional[int] = None
        self.offset = 0
        if isinstance(addresses, (list, tuple, range)):
            self.count = len(addresses)
            self._memory: Any = (ctypes.c_uint64 * self.count)(*(0 if one is None else one & _MASK for one in addresses))
            self.values = ctypes.addressof(self._memory)
            if None in addresses:
                bits = bytearray((self.count + 7) // 8)
                for index, one in enumerate(addresses):
                    bits[index >> 3] |= (one is not None) << (index & 7)
                self._bits = (ctypes.c_uint8 * len(bits)).from_buffer(bits)
                self.validity = ctypes.addressof(self._bits)
            return
        import pyarrow

        if hasattr(addresses, "__arrow_c_stream__"):
            array = pyarrow.chunked_array(addresses)
        else:
            array = pyarrow.chunked_array([pyarrow.array(addresses)])
        if not pyarrow.types.is_integer(array.type):
            raise TypeError(f"addresses are 64-bit integers, not {array.type}")
        if array.type == pyarrow.uint64():
            chunks = [chunk.view(pyarrow.int64()) for chunk in array.chunks]
            array = pyarrow.chunked_array(chunks, pyarrow.int64())
        self._memory = array.cast(pyarrow.int64()).combine_chunks()
        validity, values = self._memory.buffers()
        self.count = len(self._memory)
        self.offset = self._memory.offset
        self.values = values.address + 8 * self.offset if values is not None else 0
        self.validity = validity.address if validity is not None else None


def _paths(paths: Iterable[Path]) -> Any:
    names = [os.fsencode(path) for path in paths]
    return (ctypes.c_char_p * (len(names) + 1))(*names, None)
