# SPDX-License-Identifier: GPL-2.0-or-later
"""Records and replays guests for the cases, and asks the tools about them."""

import csv
import io
import json
import os
import re
import shutil
import subprocess

from replaybin import ReplayBin

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("TT_BIN", os.path.join(ROOT, ".build/release"))
PLUGIN = os.environ.get("TTD_PLUGIN", os.path.join(ROOT, "hypervisor/qemu/build/libttd.so"))
TINY = os.path.join(ROOT, "hypervisor/guests/tiny/build")
LINUX = os.path.join(ROOT, "hypervisor/guests/linux/build")
BRANCHES_AT_ONCE = 1 << 24
EXIT_DEVICE = ["--device", "isa-debug-exit,iobase=0xf4,iosize=4"]


class Missing(Exception):
    """A case cannot be made here; the text has the reason."""


def command(words, seconds=900, statuses=(0,), **options):
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds, **options)
    except FileNotFoundError:
        raise Missing(f"{words[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{os.path.basename(words[0])} did not end within {seconds} s") from None
    if done.returncode not in statuses:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{' '.join(words[:2])}: status {done.returncode}: {' '.join(lines[-2:])[-300:]}")
    return done


def tool(name, *words, **options):
    return command([os.path.join(BIN, name), *words], **options)


def qemu(version):
    if version == "10.0":
        return command([os.path.join(ROOT, "scripts/fetch-qemu10")]).stdout.strip()
    return os.environ.get("QEMU7", "/usr/bin/qemu-system-x86_64")


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.unlink(path)


class Pair:
    """Two logs to compare, and the directory of the recording from which they were made."""

    def __init__(self, original, replay, run):
        self.original, self.replay, self.run = original, replay, run
        self.notes = {}

    def log(self, side):
        path = getattr(self, side)
        return os.path.join(path, "ttd.log") if os.path.isdir(path) else path


class Runs:
    """The runs of one group of cases. Recordings are made once and never changed: a case works on a copy."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.temporary = []

    def path(self, name):
        path = os.path.join(self.folder, name)
        self.temporary.append(path)
        remove(path)
        return path

    def finish(self, keep):
        for path in self.temporary:
            if not keep:
                remove(path)
        self.temporary = []

    # Recording and replaying

    def recording(self, name, arguments, version="7.2", seconds=900):
        """A recording, made when it is first asked for."""
        path = os.path.join(self.folder, name)
        if not os.path.exists(os.path.join(path, "manifest.json")) or self.is_unfinished(path):
            shutil.rmtree(path, ignore_errors=True)
            split = arguments.index("--") if "--" in arguments else len(arguments)
            tool("tt-record", "--quiet", "--plugin", PLUGIN, "--qemu", qemu(version), *arguments[:split], path,
                 *arguments[split:], seconds=seconds)
        return path

    @staticmethod
    def is_unfinished(path):
        with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
            return "outcome" not in json.load(file)

    def copy(self, run):
        """A copy of a recording, for a case that changes its files. The log is shared."""
        path = self.path(os.path.basename(run) + "-changed")
        shutil.copytree(run, path, ignore=shutil.ignore_patterns("replays", "ttd.log"))
        os.link(os.path.join(run, "ttd.log"), os.path.join(path, "ttd.log"))
        return path

    def replay(self, run, *arguments, seconds=900, hang=2):
        """Replays a recording; a replay that went another way is a result too. Returns the pair."""
        out = self.path("replay")
        split = arguments.index("--") if "--" in arguments else len(arguments)
        done = tool("tt-replay", run, "-o", out, "--quiet", "--force", "--trust", "--plugin", PLUGIN, "--hang-timeout",
                    str(hang), *arguments[:split], *arguments[split:], seconds=seconds, statuses=(0, 1, 2))
        if not os.path.exists(os.path.join(out, "ttd.log")):
            raise Missing(f"tt-replay: {done.stderr.strip()[-300:]}")
        return Pair(run, out, run)

    def edited(self, run, change, *arguments, **options):
        """Replays a recording whose replay.bin is changed. What `change` returns becomes the pair's notes."""
        copy = self.copy(run)
        inputs = ReplayBin(os.path.join(copy, "replay.bin"))
        notes = change(inputs)
        inputs.write()
        pair = self.replay(copy, *arguments, **options)
        pair.notes = notes or {}
        pair.run = run
        return pair

    # Asking

    @staticmethod
    def diverge(pair, options=()):
        done = tool("tt-analyze", "diverge", "--format", "json", *options, pair.original, pair.replay, statuses=(0, 1, 2))
        if not done.stdout.startswith("{"):
            raise Missing(f"diverge: {done.stderr.strip()[-300:]}")
        answer = json.loads(done.stdout)
        answer["status"] = done.returncode
        return answer

    @staticmethod
    def events(run, *options):
        text = tool("tt-analyze", "events", run, "--format", "csv", *options, statuses=(0, 1, 2)).stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        for row in rows:
            row["brctr"], row["icount"] = int(row["brctr"]), int(row["icount"] or 0)
        return rows

    @staticmethod
    def entries(run, name):
        """The joined events of a recording that belong to the `interrupt` or `exception` entries of its replay.bin."""
        kinds = ("interrupt",) if name == "interrupt" else ("exception", "software-interrupt")
        return [row for row in Runs.events(run) if row["kind"] in kinds]

    def first_branch(self, pair):
        """The clock of the first branch that differs, found by `cmp`; None if none differs before a log's end."""
        paths = [self.path(side + ".bts") for side in ("original", "replay")]
        start, size = 0, BRANCHES_AT_ONCE * 24
        while size == BRANCHES_AT_ONCE * 24:
            for side, path in zip(("original", "replay"), paths):
                remove(path)
                tool("bts-dump", "--range", f"{start}:{start + BRANCHES_AT_ONCE}", "--extract", path, "--force",
                     pair.log(side), statuses=(0, 1, 2))
            out = command(["cmp", *paths], statuses=(0, 1, 2)).stdout
            size = min(os.path.getsize(path) if os.path.exists(path) else 0 for path in paths)
            found = re.search(r"differ: (?:byte|char) (\d+)", out)
            if found:
                size, start = 0, start + (int(found[1]) - 1) // 24
            else:
                start += size // 24
        for path in paths:
            remove(path)
        pair.notes["branches before a log's end"] = start
        return start if found else None

    @staticmethod
    def symbol_line(source, text):
        """`FILE:LINE` of the line of a guest's source that contains a text."""
        with open(os.path.join(ROOT, "hypervisor/guests", source), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if text in line:
                    return f"{os.path.basename(source)}:{number}"
        raise Missing(f"{source} has no line with {text}")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            found = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return found
