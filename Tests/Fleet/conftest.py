# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of fleets share: runs, a data set of them, and a server for objects."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "Python"))

from runs import FIXTURES, make_run  # noqa: E402


def ttlog(*words, folder=None, statuses=(0,)):
    """Calls `python -m ttlog`. Returns what it says."""
    command = [sys.executable, "-m", "ttlog", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode in statuses, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run directory `run`: a recording and two replays, of which one parted."""
    folder = tmp_path_factory.mktemp("fleet")
    make_run(folder)
    return folder


@pytest.fixture(scope="session")
def lake(run_folder):
    """The data set of `run`."""
    ttlog("lake", "lake", "run", "--night", "2026-11-30", folder=run_folder)
    return run_folder / "lake"


@pytest.fixture(scope="session")
def bucket(tmp_path_factory):
    """An S3 bucket of a server of this machine: the address of the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": address}
    os.environ.update(names)
    log = open(tmp_path_factory.mktemp("moto") / "log", "wb")
    command = [os.path.join(os.path.dirname(sys.executable), "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "the server for objects did not start"
                time.sleep(0.1)
        import s3fs

        s3fs.S3FileSystem().mkdir("bucket")
        yield address
    finally:
        server.terminate()
        server.wait()
        log.close()
        for name in names:
            del os.environ[name]
