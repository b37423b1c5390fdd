# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of python/ttlog share: the logs, the tools, and a check that nothing leaks."""

import gc
import json
import os
import pathlib
import subprocess
import sys

import pytest

import ttlog
from runs import FIXTURES, make_run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tool(name):
    """A tool of the project: from BIN, or from the first build folder that has it."""
    folders = [os.environ.get("BIN"), ROOT / ".build-tests/release", ROOT / ".build/release"]
    for folder in filter(None, folders):
        path = pathlib.Path(folder) / name
        if path.exists():
            return str(path)
    raise RuntimeError(f"{name} is not built: make build, or BIN=FOLDER")


def tool_rows(*command):
    """The rows that a tool prints as JSON lines, without their header."""
    output = subprocess.run(
        [tool(command[0]), *map(str, command[1:]), "--format", "jsonl"], check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in output.stdout.splitlines()[1:]]


def unsigned(value):
    return None if value is None else value & (2**64 - 1)


def run_in_children(source, *arguments, count=2):
    """Runs a program in processes of their own, so that a crash is a failure and not the end of the tests.

    Each gets its number before the other arguments, and prints a line that begins with "whole" when it is done.
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-c", source, str(number), *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]
    try:
        for child in children:
            output, errors = child.communicate(timeout=3600)
            assert child.returncode == 0, errors[-2000:]
            assert output.startswith("whole")
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.fixture(autouse=True)
def nothing_leaks():
    """Each structure that the library hands out in a test is released at its end."""
    yield
    gc.collect()
    exported, released = ttlog.struct_counts()
    assert exported == released


@pytest.fixture(scope="session")
def recording():
    return str(FIXTURES / "recording.log")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run directory: a recording and two replays, of which one parted."""
    return make_run(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="session")
def nights(tmp_path_factory):
    """The data set of planted.py, of four nights."""
    from planted import make_fleet

    return make_fleet(tmp_path_factory.mktemp("nights"))


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A log that the test wrote: two vCPUs, kernel addresses, every kind of field, text with odd characters."""
    rows = []
    high = 0xFFFFFFFF81000000
    for vcpu in range(2):
        for index in range(100):
            label = ("call", "ret", "none", "jcc")[index % 4]
            rows.append(
                {"vcpu": vcpu, "brctr": index, "from": hex(high + index), "to": hex(index), "class": label, "icount": 5 * index + 5}
            )
    events = [
        {"kind": "interrupt", "brctr": 3, "icount": 15, "ip": hex(high), "vector": 32, "handler": hex(high + 64)},
        {"kind": "port-read", "brctr": 7, "icount": 36, "ip": "0x10", "port": "0x3f8", "size": 1, "value": ["0x41"]},
        {"kind": "attribute", "key": "note", "text": 'a "quoted" line\nand another \u20ac'},
    ]
    path = tmp_path_factory.mktemp("written") / "rows.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for row in events + rows:
            text = {key: str(value) if isinstance(value, int) and key not in ("vcpu", "size", "vector") else value for key, value in row.items()}
            file.write(json.dumps(text) + "\n")
    return str(path)


#: A function that calls one that calls another, and goes on.
PATH = [
    (0x0, 0x100, "call"), (0x110, 0x120, "jcc"), (0x130, 0x200, "call"), (0x210, 0x220, "jcc"),
    (0x230, 0x135, "ret"), (0x150, 0x5, "ret"), (0x10, 0x20, "jcc"), (0x30, 0x1000, "jmp"),
]  # fmt: skip


@pytest.fixture(scope="session")
def two_vcpus(tmp_path_factory):
    """A log of many chunks: 40,000 branches, and 8,000 events or fewer of each sort, on each of the vCPUs 0 and 40.

    The importer cuts logs of more than 32 vCPUs into chunks of 8,192 branches, and events at each 2^20 clocks.
    """
    lines = []
    for vcpu in (0, 40):
        for n in range(8000 - 50 * vcpu):
            at = f'"vcpu": {vcpu}, "brctr": "{1000 * n}", "icount": "{5000 * n}", "ip": "{n:#x}"'
            lines.append(f'{{"kind": "interrupt", {at}, "vector": {n % 256}}}')
            if n % 3:
                lines.append(f'{{"kind": "port-read", {at}, "port": "{n % 65536:#x}", "size": 1, "value": ["{n % 256:#x}"]}}')
        for n in range(40_000):
            place, origin, target, kind = n // 8 % 100 * 0x1000, *PATH[n % 8]
            jump = f'"from": "{place + origin:#x}", "to": "{place + target:#x}", "class": "{kind}"'
            lines.append(f'{{"vcpu": {vcpu}, "brctr": "{n}", "icount": "{5 * n + 5}", {jump}}}')
    folder = tmp_path_factory.mktemp("two")
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    subprocess.run([tool("tt-analyze"), "import", folder / "rows.jsonl", "-o", folder / "ttd.log"], check=True, capture_output=True)
    return str(folder / "ttd.log")
