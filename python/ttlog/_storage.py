# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a data set: a directory of this machine, or an address such as `s3://bucket/lake` that fsspec opens.

A file appears whole. On this machine it is written aside, flushed to the disk and renamed, and then its folder is flushed: also
after a loss of power a file is whole or not there, and those that were written before it are there. An object is uploaded when
it has been written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from typing import IO, Any, Iterable, Iterator, Optional, cast


class Storage:
    """A folder; names in it are relative and use `/`. Of an address, only processes without threads may make one: fsspec
    starts a thread."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._remote: Any = None
        if is_remote(place):
            import fsspec

            self._remote, self._root = fsspec.core.url_to_fs(place)
        else:
            self._root = place
            os.makedirs(place, exist_ok=True)

    @property
    def is_remote(self) -> bool:
        """Whether this is an address."""
        return self._remote is not None

    def address(self, name: str) -> str:
        """What other programs call a file: its path, or its address with the protocol."""
        return self.path(name) if self._remote is None else str(self._remote.unstrip_protocol(self.path(name)))

    def path(self, name: str) -> str:
        """The path of a file, as the file system has it."""
        return f"{self._root}/{name}" if self._remote is not None else os.path.join(self._root, name)

    def list(self, name: str = "") -> list[str]:
        """The names in a folder, sorted; none if there is no such folder."""
        if self._remote is None:
            with contextlib.suppress(FileNotFoundError):
                return sorted(os.listdir(self.path(name)))
            return []
        # Another process may have written since this one last asked.
        self._remote.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return sorted(str(path).rstrip("/").rsplit("/", 1)[1] for path in self._remote.ls(self.path(name), detail=False))
        return []

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self.path(name)) if self._remote is None else bool(self._remote.isfile(self.path(name)))

    def open(self, name: str) -> IO[bytes]:
        """Opens a file for reading."""
        return open(self.path(name), "rb") if self._remote is None else cast("IO[bytes]", self._remote.open(self.path(name), "rb"))

    def read(self, name: str) -> Optional[bytes]:
        """What a file holds now; None if it is not there."""
        if self._remote is not None:
            self._remote.invalidate_cache()
        with contextlib.suppress(FileNotFoundError), self.open(name) as file:
            return file.read()
        return None

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[str]:
        """The path of an empty local file; at the end of the block it takes its name, unless the block failed."""
        if self._remote is None:
            hidden = self.path(f".{os.getpid()}-{name.replace('/', '-')}")
            try:
                yield hidden
                flush(hidden)
                folder = os.path.dirname(self.path(name))
                _make_folders(folder)
                os.replace(hidden, self.path(name))
                flush(folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(hidden)
        else:
            with tempfile.TemporaryDirectory(prefix="ttlog-") as folder:
                path = os.path.join(folder, "file")
                yield path
                self._remote.put_file(path, self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file."""
        with self.writing(name) as path, open(path, "wb") as file:
            file.write(data)

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            if self._remote is None:
                os.unlink(self.path(name))
                flush(os.path.dirname(self.path(name)))
            else:
                self._remote.rm_file(self.path(name))

    def remove_all(self, folder: str, names: Iterable[str]) -> None:
        """Removes those of some files of a folder that are there."""
        here = set(self.list(folder))
        left = [f"{folder}/{name}" for name in names if name in here]
        if self._remote is None:
            for name in left:
                self.remove(name)
        elif left:
            self._remote.rm([self.path(name) for name in left])

    def copy(self, source: str, target: str) -> None:
        """Copies an object; the storage does it, and the copy appears whole."""
        self._remote.cp_file(self.path(source), self.path(target))

    def sweep(self) -> None:
        """Removes what processes that were killed have left, if they are gone."""
        if self._remote is not None:
            return
        for name in self.list():
            number = name[1:].split("-")[0]
            if name.startswith(".") and number.isdigit() and not _is_running(number):
                path = self.path(name)
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    self.remove(name)


def flush(path: str) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(path: str) -> None:
    """Makes a folder and those above it; their names are on the disk when it returns."""
    if not os.path.isdir(path):
        above = os.path.dirname(path) or "."
        _make_folders(above)
        os.makedirs(path, exist_ok=True)
        flush(above)


def _is_running(process: str) -> bool:
    """Whether there is such a process, and it is not one that has ended and that nobody has waited for."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return False


def is_remote(place: str) -> bool:
    """Whether a place is an address of fsspec."""
    return "://" in place


def load(place: str) -> None:
    """Imports what an address needs, so that the children of this process need not do so once each. Starts no thread."""
    if is_remote(place):
        import fsspec

        fsspec.get_filesystem_class(fsspec.utils.get_protocol(place))


@contextlib.contextmanager
def locked(place: str, exclusive: bool) -> Iterator[None]:
    """Holds a folder for changes: shared by those that add files, exclusive for who replaces files of others.

    Object storage has no locks: there the processes of one user of this machine wait for each other, and for no others.
    """
    path, mode = os.path.join(place, ".lock"), 0o666
    if is_remote(place):
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        path, mode = os.path.join(tempfile.gettempdir(), f"ttlog-{os.getuid()}-{digest}.lock"), 0o600
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
