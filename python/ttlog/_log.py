# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs and run directories."""

from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence, Union

from . import _manifest
from ._errors import LogError
from ._library import Error, Missing, library
from ._stream import Stream
from ._symbols import Symbols

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from typing_extensions import Unpack

    class StreamOptions(TypedDict, total=False):
        """The options that all streams have; see `Log`."""

        vcpu: Optional[int]
        start: int
        stop: Optional[int]
        on_damage: Literal["raise", "skip"]
        strings: Literal["dictionary", "plain"]
        symbols: Union[None, bool, Symbols, Path, Sequence[Path]]


Path = Union[str, "os.PathLike[str]"]


class VCPU(NamedTuple):
    """What a log holds of one vCPU. Counts are of records; clocks are branch counters (brctr)."""

    number: int
    branches: int
    events: int
    accesses: int
    #: The clock of the first and of the last record; None without records.
    first_brctr: Optional[int]
    last_brctr: Optional[int]
    #: The first clock that is not compared with a replay; None if the log does not state it.
    comparable_end: Optional[int]


class Skipped(NamedTuple):
    """What streams with `on_damage="skip"` have passed over. All fields are 0 or None for a log that lacks nothing; the
    truth of it says so: `if log.skipped: ...`."""

    #: Chunks whose bodies cannot be decoded.
    chunks: int
    #: Records that are known to be lost. How many a truncated file lacks is not known.
    records: int
    #: Damaged parts that were found on opening; `damage()` lists them.
    parts: int
    #: The size of these parts in the file.
    bytes: int
    #: Records that the recorder could not write.
    unwritten: int
    #: The offset from which on nothing can be read, because the file ends too early; None if it does not.
    truncated_at: Optional[int]

    def __bool__(self) -> bool:
        return any(self[:5]) or self.truncated_at is not None


class Log:
    """An opened log. Opening reads headers only; every method returns at once, and a stream decodes when it is read.

    Streams have these options in common:

    - `columns`: names, in the wished order; None: all. Columns of branches that are not asked for are not decoded; those of
      other streams are not built.
    - `vcpu`: a number; None: all vCPUs, one after the other.
    - `start`, `stop`: the first branch counter, and the one after the last; only these chunks are read.
    - `on_damage`: `"raise"`: a stream of a damaged or truncated log fails after the rows before the damage. `"skip"`: it goes
      on, and `skipped` and `damage()` say what is missing.
    - `strings`: `"dictionary"`, or `"plain"` for consumers that take no dictionaries (Spark).
    - `symbols`: symbol files, what `symbols()` returned, or True for the run's own kernel: columns with names, `X_name`, are beside those of addresses of code,
      and `X_function` and `X_line` may be asked for in `columns`.

    Addresses are signed 64-bit integers: those above 2^63 are negative; `address & (2**64 - 1)` is the unsigned one.
    """

    def __init__(self, path: Path) -> None:
        self._handle: Optional[int] = None
        handle, error = ctypes.c_void_p(), Error()
        status = library().open(os.fsencode(path), ctypes.byref(handle), ctypes.byref(error))
        library().check(status, error)
        self._handle = handle.value
        self._description: Optional[dict[str, Any]] = None
        self._symbols: dict[tuple[str, ...], Symbols] = {}

    # -- What it holds

    @property
    def description(self) -> dict[str, Any]:
        """What the library states about the log: path, format, completeness, features, vCPUs, damage."""
        if self._description is None:
            self._description = json.loads(library().text(library().describe(self._handle_or_raise())) or "{}")
        return self._description

    @property
    def path(self) -> str:
        """The file that is read."""
        return str(self.description["path"])

    @property
    def features(self) -> list[str]:
        """What the recorder logs: `branches`, `icount`, `labels`, `causes`, …"""
        return list(self.description["features"])

    @property
    def vcpus(self) -> list[VCPU]:
        """The vCPUs, with the numbers of their records."""
        names = ("branches", "events", "accesses", "first_brctr", "last_brctr", "comparable_end")

        def number(text: Optional[str]) -> Optional[int]:
            return None if text is None else int(text)

        return [VCPU(entry["vcpu"], *(number(entry[name]) for name in names)) for entry in self.description["vcpus"]]  # type: ignore[arg-type]

    @property
    def digest(self) -> int:
        """A hash over all chunk headers: logs with equal values hold the same records. Unsigned, 64 bits."""
        return int(self.description["digest"], 16)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the log is known to be damaged or missing. Bodies are not read: `tt-analyze verify` does."""
        return not self.description["damage_count"] and self.description["lost_records"] == "0"

    @property
    def skipped(self) -> Skipped:
        """What streams with `on_damage="skip"` have passed over so far; a truncated end counts once such a stream has ended."""
        known = Missing(size=ctypes.sizeof(Missing))
        library().count_missing(self._handle_or_raise(), ctypes.byref(known))
        end = None if known.truncated_at < 0 else known.truncated_at
        return Skipped(known.chunks, known.records, known.parts, known.bytes, known.unwritten, end)

    # -- Streams

    def branches(self, columns: Optional[Sequence[str]] = None, **options: Unpack[StreamOptions]) -> Stream:
        """One row a branch. Quote `from` and `to` in SQL.

        Columns: `brctr` (int64, transitions), `icount` (int64, instructions), `vcpu` (int32), `epoch` (int32), `from`
        (int64), `to` (int64), `kind` (dictionary).
        """
        return self._stream("branches", columns, (), options)

    def events(self, columns: Optional[Sequence[str]] = None, kind: Union[str, Sequence[str]] = (), **options: Unpack[StreamOptions]) -> Stream:
        """One row an interrupt, exception, discontinuity or state digest, in the order of each vCPU.

        Columns: `brctr` (int64, transitions), `icount` (int64, instructions), `vcpu` (int32), `epoch` (int32), `kind`
        (text), `ip` (int64), `info` (int64), `address` (int64), `value` (int64), `details` (text), `rcx` (int64),
        `registers` (int64), `payload` (binary), `ticket` (int64), `tsc` (int64), `ordinal` (int64, records).

        `value` is the first value word, `details` the fields in words, `registers` a digest, `ticket` the order of all vCPUs' records.

        Args:
            kind: only events of this kind, or of these. One kind alone adds a column for each of its fields:
                `events(kind="interrupt")` has `vector` and `handler`. `ttlog.columns("events", kind)` lists them.
        """
        return self._stream("events", columns, _names(kind), options)

    def accesses(self, columns: Optional[Sequence[str]] = None, kind: Union[str, Sequence[str]] = (), **options: Unpack[StreamOptions]) -> Stream:
        """One row an access to a port, device memory, a clock or a special register; otherwise like `events`.

        Columns: `brctr` (int64, transitions), `icount` (int64, instructions), `vcpu` (int32), `epoch` (int32), `kind`
        (text), `ip` (int64), `info` (int64), `address` (int64), `value` (int64), `details` (text), `rcx` (int64),
        `registers` (int64), `payload` (binary), `ticket` (int64), `tsc` (int64), `ordinal` (int64, records).
        """
        return self._stream("accesses", columns, _names(kind), options)

    def notes(self, columns: Optional[Sequence[str]] = None, kind: Union[str, Sequence[str]] = (), **options: Unpack[StreamOptions]) -> Stream:
        """One row a record about the run: attributes, annotations, losses, the comparable end, why the run ended.

        Columns: `brctr` (int64, transitions), `icount` (int64, instructions), `vcpu` (int32), `epoch` (int32), `kind`
        (text), `ip` (int64), `info` (int64), `address` (int64), `value` (int64), `details` (text), `rcx` (int64),
        `registers` (int64), `payload` (binary), `ticket` (int64), `tsc` (int64), `ordinal` (int64, records).
        """
        return self._stream("notes", columns, _names(kind), options)

    def attributes(self, columns: Optional[Sequence[str]] = None, **options: Unpack[StreamOptions]) -> Stream:
        """One row an attribute of the run.

        Columns: `key` (text), `value` (text).
        """
        return self._stream("attributes", columns, (), options)

    def chunks(self, columns: Optional[Sequence[str]] = None, **options: Unpack[StreamOptions]) -> Stream:
        """One row a chunk of the log: its place, counts, clocks, digests, and what is known of its damage (else null). No body is read.

        Columns: `stream` (text), `vcpu` (int32), `epoch` (int32), `cell` (int64), `part` (int64), `rows` (int64,
        records), `first_ordinal` (int64, records), `brctr_first` (int64, transitions), `brctr_last` (int64,
        transitions), `icount_first` (int64, instructions), `icount_last` (int64, instructions), `path` (int64), `label`
        (int64), `position` (int64), `payload` (int64), `chain` (int64), `is_elided` (bool), `is_partial` (bool),
        `stored_bytes` (int64, bytes), `raw_bytes` (int64, bytes), `offset` (int64, bytes), `damage` (text).
        """
        return self._stream("chunks", columns, (), options)

    def damage(self, columns: Optional[Sequence[str]] = None) -> Stream:
        """One row a damaged part: what opening found, and what streams have passed over so far.

        Columns: `source` (text), `file` (text), `offset` (int64, bytes), `length` (int64, bytes), `what` (text),
        `lost_records` (int64, records).
        """
        return Stream(self, "damage", columns)

    def calls(self, columns: Optional[Sequence[str]] = None, **options: Unpack[StreamOptions]) -> Stream:
        """One row a call, interruption or system call, in the order in which they end; open ones last.

        Columns: `vcpu` (int32), `stack` (int64), `depth` (int64), `kind` (text), `call_site` (int64), `target` (int64),
        `function` (int64), `begin_brctr` (int64, transitions), `end_brctr` (int64, transitions), `begin_icount` (int64,
        instructions), `end_icount` (int64, instructions), `ending` (text).
        """
        return self._stream("calls", columns, (), options)

    def edges(self, columns: Optional[Sequence[str]] = None, **options: Unpack[StreamOptions]) -> Stream:
        """One row a distinct branch.

        Columns: `vcpu` (int32), `from` (int64), `to` (int64), `kind` (text), `count` (int64, transitions),
        `first_brctr` (int64, transitions), `last_brctr` (int64, transitions).
        """
        return self._stream("edges", columns, (), options)

    def _stream(self, name: str, columns: Optional[Sequence[str]], kinds: Sequence[str], options: StreamOptions) -> Stream:
        known = dict(options)
        symbols = known.pop("symbols", None)
        return Stream(self, name, columns, kinds=kinds, symbols=self._symbols_of(symbols), **known)  # type: ignore[arg-type]

    # -- Names

    def symbols(
        self,
        *files: Path,
        programs: Sequence[Path] = (),
        modules: Optional[Path] = None,
        module_list: Optional[Path] = None,
        kaslr: Union[str, int] = "auto",
        cache: bool = True,
        demangle: bool = True,
    ) -> Symbols:
        """Reads symbol files and finds where each was loaded in this run, as the tools do (docs/symbols.md).

        Without any file it takes the kernel that the run's manifest names, if that file has not changed.

        Args:
            files: kernels and programs that ran where they were linked: `FILE[@ADDRESS|+SLIDE][,FROM:TO]`, as `--symbols` takes
                them. The log's calls show the slide of a kernel (KASLR). The first file that knows an address names it.
            programs: user programs and libraries, `PROGRAM[@ADDRESS|+SLIDE]`, or directories of them, as `--user` takes them.
            modules: the directory with the kernel modules (`.ko`) that were loaded.
            module_list: their addresses: a copy of `/proc/modules`. None: the file `proc-modules` in the directory, or beside the
                log.
            kaslr: the slide of kernels without a given one: a number of bytes, `"off"`, or `"auto"`.
            cache: keep tables of symbols in `$XDG_CACHE_HOME/tt-analyze/symbols`, which the tools share.
            demangle: names of C++, Rust, Swift and D as people read them.

        Raises:
            LogError: a file cannot be read, or no file is given and the manifest names none that serves. What is wrong with a
                file that serves is a `SymbolWarning`.
        """
        if not files and not programs and modules is None:
            files = (_manifest.kernel(self.path),)
        if modules is not None and module_list is None:
            module_list = _manifest.module_list(self.path, os.fspath(modules))
        return Symbols(self, files, programs, modules, module_list, kaslr, cache, demangle)

    def _symbols_of(self, symbols: Any) -> Optional[Symbols]:
        if symbols is None or symbols is False or isinstance(symbols, Symbols):
            return symbols or None
        paths = [symbols] if isinstance(symbols, (str, os.PathLike)) else [] if symbols is True else list(symbols)
        key = tuple(os.fspath(path) for path in paths)
        if key not in self._symbols:
            self._symbols[key] = self.symbols(*paths)
        return self._symbols[key]

    def partitions(self, parts: int, stream: str = "branches", vcpu: int = 0) -> list[tuple[int, int]]:
        """Ranges of clocks (start, stop) that hold about equally many records of a stream of a vCPU; at most `parts`."""
        if parts < 1:
            raise ValueError("parts must be 1 or more")
        bounds = (ctypes.c_uint64 * (parts + 1))()
        count = library().partitions(self._handle_or_raise(), stream.encode(), vcpu, parts, bounds)
        return [(bounds[index], bounds[index + 1]) for index in range(count - 1)]

    # -- Lifetime

    def close(self) -> None:
        """Closes the log. Streams that consumers read go on. Later calls do nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            library().close(handle)

    def _handle_or_raise(self) -> int:
        if self._handle is None:
            raise LogError("the log is closed")
        return self._handle

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return f"<ttlog.{type(self).__name__}, closed>"
        known = self.description
        counts = [
            f"{sum(getattr(vcpu, name) for vcpu in self.vcpus):,} {name}" for name in ("branches", "events", "accesses")
        ]
        vcpus = f", {len(known['vcpus'])} vCPUs" if len(known["vcpus"]) != 1 else ""
        flaws = [] if self.is_complete else [f"DAMAGED or incomplete ({known['damage_count']} places)"]
        if known["completeness"] != "closed":
            flaws.append(known["completeness"])
        tail = "; " + "; ".join(flaws) if flaws else ""
        return f"<ttlog.{type(self).__name__} {self.path}: {known['run_kind']}, {', '.join(counts)}{vcpus}{tail}>"


class Run(Log):
    """A run directory: the log of its recording, and its replays.

    Attributes:
        directory: the run directory.
    """

    def __init__(self, path: Path) -> None:
        self.directory = os.fspath(path)
        super().__init__(path)

    @property
    def replays(self) -> list[str]:
        """The names of the replays that have a log, sorted."""
        place = os.path.join(self.directory, "replays")
        try:
            names = sorted(os.listdir(place))
        except OSError:
            return []
        return [name for name in names if os.path.isfile(os.path.join(place, name, "ttd.log"))]

    def replay(self, name: str) -> Run:
        """One of the replays."""
        return Run(os.path.join(self.directory, "replays", name))


def open(path: Path) -> Log:
    """Opens a log, a run directory (a `Run`), a bundle (a `Bundle`), or a file of a foreign format, which is imported
    (docs/import.md).

    A bundle (`.ttbug`) is unpacked by `tt-analyze`, which must be on PATH.

    Raises:
        LogError: the file cannot be read or has no known format.
    """
    from ._bundle import Bundle, is_bundle

    if os.path.isdir(path):
        return Run(path)
    return Bundle(path) if is_bundle(path) else Log(path)


def _names(kind: Union[str, Sequence[str]]) -> Sequence[str]:
    return (kind,) if isinstance(kind, str) else kind
