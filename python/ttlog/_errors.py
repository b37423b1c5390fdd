# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions of this package."""

from __future__ import annotations

import re
from typing import Optional

_PLACE = re.compile(r"(?P<file>/?[^:\n]*[^:\n ]): offset (?P<offset>\d+)(?:, \d+ bytes)?: ")


class LogError(Exception):
    """A log that cannot be opened or read, or a request that it cannot answer.

    Attributes:
        file: the file that the error is about; None where it is about no file.
        offset: bytes from its beginning; None where it is about no place in a file.
    """

    def __init__(self, message: str, file: Optional[str] = None, offset: Optional[int] = None) -> None:
        super().__init__(message)
        self.file = file
        self.offset = offset

    def __reduce__(self) -> tuple[type[LogError], tuple[str, Optional[str], Optional[int]]]:
        return LogError, (str(self), self.file, self.offset)


# Tracebacks name it as users write it.
LogError.__module__ = "ttlog"


def from_consumer(error: BaseException) -> Optional[LogError]:
    """The error of a stream, which its consumer raised in its own words; None for any other error."""
    found = _PLACE.search(str(error))
    if found is None:
        return None
    return LogError(str(error)[found.start() :], found["file"], int(found["offset"]))
