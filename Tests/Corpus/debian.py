# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases with a Debian system with systemd on a disk, as scripts/corpus-guests builds it."""

import os
import shutil

from changes import branch_rows, truncated
from runs import Missing
from scoring import Case, Place

FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tt-analyze/corpus/debian-system")
APPEND = "root=/dev/vda rw console=ttyS0 tsc=reliable panic=-1"


def system(runs):
    if not os.path.exists(f"{FOLDER}/disk.raw"):
        raise Missing("no Debian system: scripts/corpus-guests --only debian-raw --qemu 7.2 builds it")
    return runs.recording("debian-7.2", [
        "--kernel", f"{FOLDER}/vmlinuz", "--initrd", f"{FOLDER}/initrd", "--append", APPEND, "--memory", "512M",
        "--disk", f"{FOLDER}/disk.raw", "--", "-rtc", "base=2024-05-05T10:00:00,clock=vm"])


def replayed(*arguments):
    return lambda runs: runs.replay(system(runs), *arguments, hang=8)


def changed_disk(old, new, last=False):
    """Other bytes in place of the first or last `old` in the image."""
    def make(runs):
        path = runs.path("changed.raw")
        shutil.copy(f"{FOLDER}/disk.raw", path)
        with open(path, "r+b") as file:
            data = file.read()
            place = data.rfind(old) if last else data.find(old)
            if place < 0:
                raise Missing(f"the image has no {old}")
            file.seek(place)
            file.write(new)
        del data
        return replayed("--disk", path)(runs)
    return make


def by_first_branch(pair, runs):
    """the class of the first branch that `cmp` finds"""
    pair.notes["first"] = first = runs.first_branch(pair)
    if first is None:
        return "replay-ended-early"
    rows = [branch_rows(pair.log(side), "--range", f"{first}:{first + 1}")[0] for side in ("original", "replay")]
    entries = [row["label"] == "none" for row in rows]
    return {(True, False): "missing-event", (False, True): "extra-event"}.get(tuple(entries), "control-flow")


def at_first_branch(pair):
    first = pair.notes["first"]
    return Place(brctr=pair.notes["branches before a log's end"] if first is None else first)


FIRST = Place(is_branch=True)
CASES = [
    Case("faithful", "Debian", "the replay is faithful", replayed(), "identical"),
    Case("command line", "Debian", "the kernel parses its command line", replayed("--append", APPEND + " extra=1"),
         "control-flow", FIRST, "command line"),
    Case("disk byte, read late", "Debian", "systemd reads the unit that powers off late in the boot, and journald hashes its "
         "description with a random key: which page of its hash table the entry is in decides whether there is a page fault",
         changed_disk(b"Description=Power off\nAfter=multi-user", b"Description=Power 0ff\nAfter=multi-user"),
         by_first_branch, at_first_branch, "disk",
         corrected="control-flow was expected. The first difference is a write of journald into the hash table of its "
         "journal, at an address that comes from the hash of the text. In one recording only the original has a page "
         "fault there: the event is missing. In another one only the replay has it: QEMU stops at it, as its input log has "
         "no exception there. The hash's key differs between recordings, so the class cannot be known before."),
    Case("disk byte, never read", "Debian", "no program reads the changelog of a package",
         changed_disk(b"This package was debianized by", b"THIS package was debianized by", True), "identical"),
    Case("memory", "Debian", "the firmware reads it", replayed("--memory", "768M"), "control-flow", FIRST,
         "the memory differs"),
    Case("log cut", "Debian", "the replay's log keeps the chunks before the cut",
         lambda runs: truncated(runs, replayed()(runs)), "replay-ended-early",
         lambda pair: Place(brctr=pair.notes["end"])),
]
