#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What would change a run is refused: all commands of QEMU's monitor but some that look, and gdb's packets that write.

    check_refusals.py TT-GDB RUN

Exit status: 0 as expected, 1 not.
"""
import os
import re
import sys

from left import require, run_script

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Benchmarks", "travel"))
from travel_session import TravelSession

LOOKING = {"?", "gpa2hva", "gva2gpa", "gva2hva", "help", "info", "p", "print", "x", "xp"}
# Topics of `info` that ask the host, or that nobody needs here. `qdm` loads modules: QEMU 10.0 with a plugin aborts at it.
OTHERS = {
    "balloon", "capture", "cryptodev", "dirty_rate", "dump", "kvm", "migrate", "migrate_capabilities", "migrate_parameters",
    "profile", "qdm", "rdma", "rocker", "rocker-of-dpa-flows", "rocker-of-dpa-groups", "rocker-ports", "sev", "sgx", "spice", "stats",
    "sync-profile", "tpm", "usbhost", "usernet", "vcpu_dirty_limit", "virtio-queue-element", "virtio-vhost-queue-status", "vnc",
}
# With arguments that would do something.
WITH_ARGUMENTS = [
    "o /b 0x3f8 65", "i /b 0x3f8", "nmi", "mce 0 0 0 0 0 0", "sendkey a", "device_del x", "device_add pci-testdev", "migrate exec:cat",
    "loadvm x", "savevm x", "delvm x", "cont", "c", "stop", "quit", "q", "system_reset", "  quit", "o/b 0x3f8 65", "i/b 0x60",
    "set_link a off", "eject -f ide0", "change ide0 /etc/passwd", "qom-set /machine/unattached x y", "pmemsave 0 16 /tmp/no-such",
    "dump-guest-memory /tmp/no-such", "log in_asm", "logfile /tmp/no-such", "gdbserver tcp::1234", "replay_seek 5", "singlestep on",
]
REFUSED = "is not passed to QEMU"
WRITES = [
    b"M0,1:00", b"X0,1:a", b"X0,0:", b"P0=0000000000000000", b"G" + b"0" * 64,
]
UNKNOWN = [b"Qqemu.PhyMemMode:1", b"qqemu.sstep=0x7", b"vAttach;1", b"R00", b"B200000,S", b"vFlashErase:0,1000", b"QPassSignals:", b"t", b"d"]


def commands(text):
    """The names in the answer to `help`, with their other names."""
    names = set()
    for line in text.splitlines():
        found = re.match(r"([A-Za-z0-9_?|-]+)", line)
        if found:
            names.update(found.group(1).split("|"))
    return names


def check(session):
    checks = 0

    def expect(condition, text):
        nonlocal checks
        checks += 1
        require(condition, text)

    session.travel("goto sort_numbers:3")
    begin = session.monitor("info registers"), session.monitor("tt where")
    names = commands(session.monitor("help"))
    # gva2gpa and its like end the first word of a line of `help`.
    require(len(names) > 80 and {"o", "i", "nmi", "quit", "q", "xp"} <= names, f"QEMU's help: {sorted(names)}")
    passed = {name for name in names if REFUSED not in session.monitor(name)}
    expect(passed == LOOKING & names, f"passed to QEMU: {sorted(passed)}")
    for line in WITH_ARGUMENTS:
        expect(REFUSED in session.monitor(line), f"{line} is not refused")
    topics = {line.split()[1] for line in session.monitor("help info").splitlines() if line.startswith("info ")}
    require(len(topics) > 40, f"QEMU's help info: {sorted(topics)}")
    refused = {topic for topic in topics if REFUSED in session.monitor(f"info {topic}")}
    expect(refused == OTHERS & topics, f"refused of info: {sorted(refused ^ (OTHERS & topics))}")
    # Memory is read, registers of devices are not. 0xfee00000 is the local APIC, 0xfec00000 the I/O APIC, 0xa0000 the display.
    for line in ("x /4xw 0x200e30", "xp /4xw 0x200000", "x /3i $pc", "x $pc + 8", "xp /1xb 0xfffffff0", "xp /1xw 0xffffffff - 15"):
        answer = session.monitor(line)
        expect(re.match(r"[0-9a-f]{8,16}:|0x[0-9a-f]+:", answer), f"{line}: {answer}")
    for line in (
        "xp /1xw 0xfee00020", "xp 0xfec00000", "xp /1xb 0xa0000", "xp /1xw 0x9ffff - 4 + 8", "xp /64xg 0x1fffff0", "xp 0xfeb00000",
        "x /1xw 0xfee00020", "xp/1xw 0xfee00020",
    ):
        answer = session.monitor(line)
        expect("is not read" in answer or "Cannot access" in answer, f"{line}: {answer}")
    expect("at a time" in session.monitor("xp /99999xg 0"), "very many numbers")
    for packet in WRITES:
        expect(session._exchange(packet).startswith(b"E."), f"{packet} is not refused")
    for packet in UNKNOWN:
        answer = session._exchange(packet)
        expect(answer == b"", f"{packet}: {answer}")
    expect(re.fullmatch(rb"[0-9a-f]{32}", session._exchange(b"m200e30,10")), "memory is read")
    expect(session._exchange(b"mfee00020,4") == b"E14", "the local APIC is not read")
    expect(session._exchange(b"m0,ffffffffffffffff") == b"E14", "too much memory")
    expect(session._exchange(b"m") == b"E14", "a packet without numbers")
    expect(len(session._exchange(b"g")) > 1000, "registers are read")
    expect((session.monitor("info registers"), session.monitor("tt where")) == begin, "the guest is as it was")
    return checks


def main():
    tool, run = sys.argv[1:3]
    with TravelSession(tool, run, ["--checkpoint-space", "0"]) as session:
        print(f"check_refusals: {check(session)} checks")


if __name__ == "__main__":
    run_script(main)
