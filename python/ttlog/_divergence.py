# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparison of two runs."""

from __future__ import annotations

import ctypes
import json
import weakref
from typing import Any, NamedTuple, Optional, Union

from ._library import Error, library
from ._log import Log, Path, open
from ._stream import ArrowSource


class Position(NamedTuple):
    """A place in a run."""

    #: Transitions of the vCPU before it.
    brctr: int
    #: Instructions before it; None where the log counts none.
    icount: Optional[int]
    #: The address of the instruction, unsigned; None where it is not known.
    ip: Optional[int]

    def __str__(self) -> str:
        parts = [f"brctr {self.brctr}"]
        if self.icount is not None:
            parts.append(f"icount {self.icount}")
        if self.ip is not None:
            parts.append(f"ip {self.ip:#x}")
        return ", ".join(parts)


class Difference(NamedTuple):
    """A field in which two records differ; values as text, `absent` where a record lacks the field."""

    name: str
    original: str
    replay: str


class Divergence(ArrowSource):
    """How two runs relate. As an Arrow source: a row for each class of elements that differs.

    Columns: `vcpu` (int32), `verdict` (text), `class` (text), `is_first` (bool), `original_brctr` (int64, transitions),
    `original_icount` (int64, instructions), `original_ip` (int64), `replay_brctr` (int64, transitions), `replay_icount`
    (int64, instructions), `replay_ip` (int64), `details` (text).

    Attributes:
        verdict: `identical`, `control-flow`, `missing-event`, `extra-event`, `moved-event`, `payload`, `state`,
            `replay-ended-early`, `original-ended-early` or `not-comparable` (docs/divergence.md).
        exit_status: 0 identical, 1 different, 2 not comparable.
        vcpu: the vCPU that the verdict is about; None if it is about all.
        place: where the original is at the divergence; None if there is none.
        replay_place: where the replay is.
        differs: the class of elements that differs: `path`, `event`, `payload`, `state`, …; None if a run ended early.
        fields: the fields in which the records differ.
        caveats: what limits the answer, in sentences.
        reasons: why the runs cannot be compared.
        branches_compared: branches of the original that were compared, by digest or one by one.
        document: everything that the library states, as a dictionary: the document of `tt-analyze diverge --format json`
            (docs/divergence.md), without what docs/fleets.md lists.
    """

    def __init__(self, handle: int, original: str, replay: str) -> None:
        self._handle = handle
        self._release = weakref.finalize(self, library().divergence_free, handle)
        self._paths = (original, replay)
        self.document: dict[str, Any] = json.loads(library().text(library().divergence_json(handle)) or "{}")
        self.verdict: str = self.document["verdict"]
        self.exit_status: int = self.document["exitStatus"]
        self.vcpu: Optional[int] = self.document.get("vcpu")
        known: dict[str, Any] = {}
        for entry in self.document["vcpus"]:
            if entry["vcpu"] == self.vcpu:
                known = entry.get("divergence", {})
        self.place = _position(known.get("original"))
        self.replay_place = _position(known.get("replay"))
        self.differs: Optional[str] = known.get("class")
        self.fields = [
            Difference(field["name"], field.get("original", "absent"), field.get("replay", "absent"))
            for field in known.get("fields", [])
        ]
        self.caveats: list[str] = [caveat["text"] for caveat in self.document["caveats"]]
        self.reasons: list[str] = self.document.get("reasons", [])
        self.branches_compared = sum(int(entry["branchesCompared"]) for entry in self.document["vcpus"])

    @property
    def is_identical(self) -> bool:
        """Whether no difference was found in all that was compared."""
        return self.verdict == "identical"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return library().capsule(lambda place: library().divergence_stream(self._handle, place))

    def __repr__(self) -> str:
        place = f" at {self.place}" if self.place else ""
        caveats = f", {len(self.caveats)} caveats" if self.caveats else ""
        return f"<ttlog.Divergence {self._paths[0]} and {self._paths[1]}: {self.verdict}{place}{caveats}>"


def diverge(original: Union[Log, Path], replay: Union[Log, Path], context: int = 8) -> Divergence:
    """Compares two runs and finds the first place at which they differ.

    The comparison reads digests first and decodes only what differs. It does not read bodies whose digests agree: a log that
    may be damaged is checked with `tt-analyze verify`.

    Args:
        original: the recording: a log or a path.
        replay: the run that is compared with it.
        context: records to collect around the divergence. 0: only the place, without call stacks; most of the time is saved.

    Raises:
        LogError: a log cannot be read. Damage is no error but a caveat.
    """
    first = original if isinstance(original, Log) else open(original)
    second = replay if isinstance(replay, Log) else open(replay)
    handle, error = ctypes.c_void_p(), Error()
    status = library().diverge(
        first._handle_or_raise(), second._handle_or_raise(), context, ctypes.byref(handle), ctypes.byref(error)
    )
    library().check(status, error)
    return Divergence(handle.value or 0, first.path, second.path)


def _position(known: Optional[dict[str, str]]) -> Optional[Position]:
    if known is None:
        return None
    icount, ip = known.get("icount"), known.get("ip")
    return Position(int(known["brctr"]), None if icount is None else int(icount), None if ip is None else int(ip, 16))
