# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manifest of a run directory names: the kernel.

A run directory may be a stranger's. What is read of a file that it names is its size and its digest, until both are those of the
kernel that the run was made with.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from typing import Any, Optional

from ._errors import LogError

_NAME = "manifest.json"
_SCHEMA = "tt-analyze manifest"
_SIZE_LIMIT = 16 << 20
#: The addresses of kernel modules, as `tt-replay --print modules` finds them in the guest's memory.
_MODULE_LIST = "proc-modules"


def kernel(log: str) -> str:
    """The path of the kernel that the run of a log was made with.

    The file may have moved with the run: it is also looked for beside the log and beside the run directory.

    Raises:
        LogError: there is no manifest beside the log, it names no kernel, or the kernel is gone or has changed: a file that was
            rebuilt in place would give wrong names.
    """
    directory = os.path.dirname(log) or "."
    manifest = os.path.join(directory, _NAME)
    try:
        identity = _kernel_identity(manifest)
        path, size, digest = os.fspath(identity["path"]), int(identity["size"]), str(identity["sha256"])
    except OSError as error:
        raise LogError(f"{log}: no symbol file is given, and no manifest names the kernel: {error}", manifest) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LogError(f"{manifest}: is damaged, or of another version", manifest) from None
    except LookupError:
        raise LogError(f"{manifest}: names no kernel; give a symbol file", manifest) from None
    name = os.path.basename(path)
    places = [os.path.join(directory, path), os.path.join(directory, name), os.path.join(directory, os.pardir, name)]
    present = [place for place in places if _size(place) is not None]
    for place in present:
        if _size(place) == size and _digest(place) == digest:
            return place
    if present:
        raise LogError(f"{present[0]}: is not the kernel that the run was made with; symbols(FILE) uses it nevertheless", present[0])
    raise LogError(f"{places[0]}: the run's kernel is not there; give a symbol file", places[0])


def module_list(log: str, modules: str) -> Optional[str]:
    """The list of module addresses beside a log, for a directory of modules that has none; None if there is none."""
    own = os.path.join(os.path.dirname(log), _MODULE_LIST)
    return own if not os.path.exists(os.path.join(modules, _MODULE_LIST)) and os.path.exists(own) else None


def _kernel_identity(manifest: str) -> dict[str, Any]:
    size = _size(manifest)
    if size is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), manifest)
    if size > _SIZE_LIMIT:
        raise ValueError("too large")
    with open(manifest, encoding="utf-8") as file:
        document = json.load(file)
    if document["schema"] != _SCHEMA:
        raise ValueError("another schema")
    for entry in document["files"]:
        if entry["role"] == "kernel":
            return dict(entry["identity"])
    raise LookupError("no kernel")


def _size(path: str) -> Optional[int]:
    """The size of a regular file; None for anything else."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _digest(path: str) -> Optional[str]:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
