# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of `python -m ttlog nightly`: an INI file, since Python 3.9 reads no TOML. docs/fleets.md has an example.

The file says which programs run and with which arguments: it is trusted like a script.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from typing import Optional

from ._errors import LogError

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Guest:
    """What is recorded and replayed: one section `[guest NAME]`."""

    name: str
    #: Options of tt-record.
    record: list[str]
    #: Arguments for QEMU, after `--`.
    qemu: list[str]
    #: Options of tt-replay.
    replay: list[str]
    #: Further options of tt-analyze for the reports of runs that parted, such as `--symbols vmlinux`.
    report: list[str]
    #: Recordings in a night, and replays of each.
    runs: int
    replays: int
    #: Seconds after which tt-record, or tt-replay, is ended.
    timeout: float


@dataclass(frozen=True)
class Config:
    """The whole file."""

    path: str
    #: The folder of the file: paths in it, and in the options of the tools, begin there.
    folder: str
    out: str
    #: Bytes of the runs that are kept, over all nights.
    keep: int
    jobs: int
    #: The folder of the tools; None: they are in PATH.
    tools: Optional[str]
    guests: list[Guest]

    def tool(self, name: str) -> str:
        """The path of a tool.

        Raises:
            LogError: there is none.
        """
        path = shutil.which(name, path=self.tools)
        if path is None:
            raise LogError(f"{self.path}: no {name} in {self.tools or 'PATH'}; `tools = FOLDER` names its folder", self.path)
        return os.path.abspath(path)


def read(path: str) -> Config:
    """Reads a configuration.

    Raises:
        LogError: the file is none; the text has the section and the key.
    """
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except configparser.Error as error:
        raise LogError(f"{path}: {' '.join(str(error).split())}", path) from None
    folder = os.path.dirname(os.path.abspath(path))
    general: Optional[_Section] = None
    guests = []
    for name in parser.sections():
        section = _Section(path, name, dict(parser[name]), set(parser.defaults()))
        if name == "nightly":
            general = section
        elif name.startswith("guest "):
            guests.append(_guest(section, name[len("guest ") :].strip()))
        else:
            raise section.error("is no section; there are [nightly] and [guest NAME]")
    general = general or _Section(path, "nightly", {}, set())
    if not guests:
        raise LogError(f"{path}: no section [guest NAME]", path)
    tools = general.text("tools", "")
    result = Config(
        path,
        folder,
        out=os.path.join(folder, general.text("out", "nightly")),
        keep=general.size("keep", "1G"),
        jobs=general.number("jobs", len(os.sched_getaffinity(0))),
        tools=os.path.join(folder, tools) if tools else None,
        guests=guests,
    )
    general.finish()
    return result


def _guest(section: _Section, name: str) -> Guest:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise section.error("a guest's name has letters, digits, '.', '_' and '-', at most 64")
    guest = Guest(
        name,
        record=section.words("record"),
        qemu=section.words("qemu"),
        replay=section.words("replay"),
        report=section.words("report"),
        runs=section.number("runs", 10),
        replays=section.number("replays", 1),
        timeout=float(section.number("timeout", 600)),
    )
    section.finish()
    if not guest.record:
        raise section.error("`record` is missing: the options of tt-record")
    return guest


class _Section:
    """The keys of a section; those that nobody asked for are errors."""

    def __init__(self, path: str, name: str, values: dict[str, str], shared: set[str]) -> None:
        self._path, self._name, self._values, self._shared = path, name, values, shared

    def error(self, text: str) -> LogError:
        return LogError(f"{self._path}: [{self._name}]: {text}", self._path)

    def text(self, key: str, default: str) -> str:
        return self._values.pop(key, default).strip()

    def words(self, key: str) -> list[str]:
        try:
            return shlex.split(self.text(key, ""))
        except ValueError as error:
            raise self.error(f"{key}: {error}") from None

    def number(self, key: str, default: int) -> int:
        text = self.text(key, str(default))
        if not text.isdigit() or int(text) < 1:
            raise self.error(f"{key}: a number from 1 on is expected, not {text!r}")
        return int(text)

    def size(self, key: str, default: str) -> int:
        text = self.text(key, default)
        found = re.fullmatch(r"(\d+)\s*([KMGT]?)B?", text)
        if not found:
            raise self.error(f"{key}: a size such as 500M or 20G is expected, not {text!r}")
        return int(found[1]) * _SIZES[found[2]]

    def finish(self) -> None:
        left = sorted(set(self._values) - self._shared)
        if left:
            raise self.error(f"{left[0]} is no key of this section")
