# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases with a Linux guest that boots from RAM and reads commands from a virtio disk (hypervisor/guests/linux)."""

import os
import shutil

from changes import damaged, truncated
from runs import LINUX, Missing, Runs
from scoring import Case, Place


RDRAND = "qemu64,+rdrand"


def with_disk(version="7.2", cpu=None):
    def make(runs):
        with open(f"{LINUX}/cmdline", encoding="ascii") as file:
            line = file.read().strip()
        processor = ["--cpu", cpu] if cpu else []
        name = f"linux-{version}" + (f"-{cpu}" if cpu else "")
        return runs.recording(name, processor + [
            "--kernel", f"{LINUX}/vmlinuz", "--initrd", f"{LINUX}/initramfs.cpio", "--append", line, "--memory", "256M",
            "--disk", f"{LINUX}/disk.img", "--", "-rtc", "base=2024-05-05T10:00:00,clock=vm"], version)
    return make


def replayed(*arguments, version="7.2", **options):
    return lambda runs: runs.replay(with_disk(version)(runs), *arguments, hang=5, **options)


def changed_disk(old, new, version="7.2"):
    """The replay's disk has other bytes in place of the first `old`."""
    def make(runs):
        path = runs.path("changed.img")
        with open(f"{LINUX}/disk.img", "rb") as file:
            data = file.read()
        if old not in data or len(old) != len(new):
            raise Missing("the disk has other contents")
        with open(path, "wb") as file:
            file.write(data.replace(old, new, 1))
        return replayed("--disk", path, version=version)(runs)
    return make


def changed_end(runs):
    """The last byte of the disk differs; nothing reads it."""
    path = runs.path("changed.img")
    shutil.copy(f"{LINUX}/disk.img", path)
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    return replayed("--disk", path)(runs)


def edited(change, version="7.2", cpu=None):
    def make(runs):
        run = with_disk(version, cpu)(runs)
        return runs.edited(run, change(runs, run), hang=5)
    return make


def entry_of(inputs, rows, number):
    """The entry of the `number`th interrupt of a recording."""
    entries = inputs.all("interrupt")
    if len(rows) != len(entries):
        raise Missing(f"{len(rows)} interrupts in the log, {len(entries)} in replay.bin")
    return entries[number]


def moved(share, by):
    def change(runs, run):
        rows = Runs.entries(run, "interrupt")
        number = next(index for index in range(int(len(rows) * share), len(rows)) if int(rows[index]["ip"], 16) >> 63)

        def edit(inputs):
            index = entry_of(inputs, rows, number)
            if by is None:
                del inputs.entries[index]
            else:
                inputs.move(index, by)
            return {"row": rows[number], "by": by}
        return edit
    return change


def at_interrupt(pair):
    by = pair.notes["by"]
    return Place(icount=pair.notes["row"]["icount"], moved=by)


def random_byte(runs, run):
    """One bit of the first value that `rdrand` gives is another one."""
    def edit(inputs):
        indexes = inputs.all("random")
        if not indexes:
            raise Missing("replay.bin has no random bytes")
        code, payload = inputs.entries[indexes[0]]
        inputs.entries[indexes[0]] = [code, payload[:8] + bytes([payload[8] ^ 1]) + payload[9:]]
    return edit


def cut_input(share):
    def change(runs, run):
        rows = Runs.entries(run, "interrupt")
        number = int(len(rows) * share)

        def edit(inputs):
            index = entry_of(inputs, rows, number)
            del inputs.entries[index:]
            return {"row": rows[number]}
        return edit
    return change


def at_cut(pair):
    return Place(brctr=pair.notes["row"]["brctr"])


def cut_log(runs):
    return truncated(runs, replayed()(runs))


def first_branch(**fields):
    return Place(is_branch=True, **fields)


def after_disk(pair):
    """The shell's loop runs after the disk has been read: after the modules are loaded, near the end."""
    text = open(os.path.join(pair.run, "serial.log"), encoding="utf-8", errors="replace").read()
    if "turns" not in text:
        raise Missing("the guest has not read its disk")
    return Place(is_branch=True, side="original")


CASES = [
    Case("command line", "Linux", "the kernel parses its command line", replayed("--append",
         "console=ttyS0 panic=-1 quiet tsc=reliable nokaslr extra=1"), "control-flow", first_branch(), "command line"),
    Case("memory", "Linux", "the firmware reads it", replayed("--memory", "512M"), "control-flow", first_branch(),
         "the memory differs"),
    Case("processor", "Linux", "the firmware reads cpuid", replayed("--cpu", "Nehalem"), "control-flow", first_branch(),
         "the cpu differs"),
    Case("data in the initrd", "Linux", "no branch depends on the constant",
         replayed("--initrd", f"{LINUX}/initramfs-data.cpio"), "identical"),
    Case("other initrd", "Linux", "it is compressed, so that the kernel unpacks it",
         replayed("--initrd", f"{LINUX}/initramfs.gz"), "control-flow", first_branch(), "the initrd differs"),
    Case("disk byte, read first", "Linux", "a loop of the shell takes one more turn: count 12 becomes 13",
         changed_disk(b"count 12", b"count 13"), "control-flow", after_disk, "disk"),
    Case("disk byte, read last", "Linux", "the last loop of the shell takes one more turn: count 25 becomes 26",
         changed_disk(b"count 25", b"count 26"), "control-flow", after_disk, "disk"),
    Case("disk byte, never read", "Linux", "the last byte of the image is after the guest's last read", changed_end,
         "identical"),
    Case("interrupt late by 3", "Linux", "one INTERRUPT is three instructions later", edited(moved(0.5, 3)), "moved-event",
         at_interrupt, "interrupt|discontinuity"),
    Case("interrupt dropped", "Linux", "the interrupt stays pending until the next INTERRUPT", edited(moved(0.6, None)),
         "missing-event", at_interrupt, "interrupt|discontinuity"),
    Case("random byte", "Linux, rdrand", "the kernel mixes the value into its random numbers, and these decide where objects "
         "and stacks are", edited(random_byte, cpu=RDRAND), "control-flow", first_branch(), "input log"),
    Case("replay.bin cut", "Linux", "the replay ends where its inputs end", edited(cut_input(0.7)), "replay-ended-early",
         at_cut, "input log"),
    Case("device", "Linux", "the firmware finds another device", replayed("--", "-device", "pci-testdev"), "control-flow",
         first_branch(), "extra arguments"),
    Case("log damaged", "Linux", "the replay is faithful; the digests of the damaged chunk agree",
         lambda runs: damaged(runs, replayed()(runs), 500), "identical"),
    Case("log cut", "Linux", "the replay's log keeps the chunks before the cut", cut_log, "replay-ended-early",
         lambda pair: Place(brctr=pair.notes["end"])),
]
