# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles (.ttbug), which tt-analyze checks and unpacks.

The container comes from strangers. There is one reader of it, that of the tools: it would double the size of this package's
library, whose other parts need neither JSON nor SHA-256.
"""

from __future__ import annotations

import builtins
import json
import os
import shutil
import subprocess
from typing import Any, Sequence

from ._errors import LogError
from ._log import Path, Run
from ._symbols import Symbols

#: The first bytes of a zstd frame (RFC 8878), which a bundle is.
_MAGIC = b"\x28\xb5\x2f\xfd"


class Slice(Run):
    """A part of a run that a bundle has."""

    _files: Sequence[str] = ()

    def symbols(self, *files: Path, **options: Any) -> Symbols:
        """Like `Log.symbols`; without files those in the bundle, each where it was in this run."""
        if files or options.get("programs") or options.get("modules"):
            return super().symbols(*files, **options)
        return Symbols(self, self._files, **options)


class Bundle(Slice):
    """An unpacked bundle (docs/bundle.md): the slice of the recording, and that of the replay as its only replay.

    Attributes:
        bundle: the path of the bundle.
        directory: where the recording's slice is, in the cache that the tools share.
        manifest: `bundle.json` as a dictionary: what the bundle is, and what is not in it.
    """

    def __init__(self, path: Path) -> None:
        self._handle = None
        self.bundle = os.fspath(path)
        root = _unpack(self.bundle)
        super().__init__(os.path.join(root, "original"))
        # Open from here on: the cache may remove the files when it needs room.
        self._replay = Slice(os.path.join(root, "replay"))
        with builtins.open(os.path.join(root, "bundle.json"), encoding="utf-8") as file:
            self.manifest: dict[str, Any] = json.load(file)
        for run, side in ((self, "original"), (self._replay, "replay")):
            run._files = [
                f"{root}/{piece['member']}+{piece['slide']},{piece['from']}:{piece['to']}"
                for piece in self.manifest[side]["symbols"]
            ]

    @property
    def replays(self) -> list[str]:
        """`replay`, the one that a bundle has."""
        return ["replay"]

    def replay(self, name: str = "replay") -> Run:
        """The replay's slice."""
        if name != "replay":
            raise ValueError(f"no replay {name!r} in a bundle; it has 'replay'")
        return self._replay

    @property
    def verdict(self) -> str:
        """The verdict on the complete logs, as the report in the bundle has it. `ttlog.diverge(bundle, bundle.replay())` makes
        that of the slices."""
        return str(self.manifest["verdict"])

    @property
    def summary(self) -> str:
        """The divergence in a sentence."""
        return str(self.manifest["summary"])

    def __repr__(self) -> str:
        return f"<ttlog.Bundle {self.bundle}: {self.verdict}: {self.summary}>"


def _unpack(path: str) -> str:
    """Has tt-analyze check and unpack a bundle; returns the directory of its members."""
    tool = shutil.which("tt-analyze")
    if tool is None:
        raise LogError(f"{path}: is a bundle; tt-analyze opens it, which is not on PATH", path)
    name = os.path.join(".", path) if path.startswith("-") else path
    command = [tool, "open", name, "info", "original", "--format", "json"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if answer.returncode != 0:
        words = answer.stderr.decode(errors="replace").strip()
        message = words.split("error: ", 1)[-1] or f"{path}: tt-analyze failed with status {answer.returncode}"
        raise LogError(message, path)
    return os.path.dirname(os.path.dirname(str(json.loads(answer.stdout)["log"])))


def is_bundle(path: Path) -> bool:
    """Whether a file begins like a bundle."""
    try:
        with builtins.open(path, "rb") as file:
            return file.read(4) == _MAGIC
    except OSError:
        return False
