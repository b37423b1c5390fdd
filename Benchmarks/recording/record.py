#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What recording costs: run time over plain TCG and over rr=record alone, log growth, bytes a branch.

    record.py [--guest tiny|linux]... [--repeat N] [--rounds N] [--json FILE]

Each guest runs N times in each way, in alternating order; the least of the N is reported: elapsed time, CPU time of the
busiest thread (the vCPU's: what elapsed time would be on a machine with nothing else to do) and CPU time of the whole
process (with the log's sealing thread). On a loaded machine elapsed time says little; the others still do.

Needs: make plugin; hypervisor/guests/linux/build.sh for the Linux guest. The tiny guest is built for it.
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PLUGIN = os.path.join(ROOT, "hypervisor/qemu/build/libttd.so")
LINUX = os.path.join(ROOT, "hypervisor/guests/linux/build")

# name, what -icount gets besides the shift (None: no -icount), plugin arguments (None: no plugin)
WAYS = [
    ("plain TCG", None, None),
    ("TCG with icount", "", None),
    ("rr=record", "rr=record", None),
    ("rr + events", "rr=record", "mode=events"),
    ("rr + digest", "rr=record", "mode=digest"),
    ("rr + branches", "rr=record", "mode=branches"),
    ("rr + branches, raw", "rr=record", "mode=branches,codec=raw"),
]


def qemu(guest, kernel, work, icount, plugin):
    command = [os.environ.get("QEMU", "qemu-system-x86_64"), "-M", "pc", "-cpu", "qemu64", "-nodefaults",
               "-no-user-config", "-display", "none", "-no-reboot", "-global", "apic.vapic=off",
               "-serial", "file:" + os.path.join(work, "serial.log")]
    if icount is not None:
        command += ["-icount", "shift=1,sleep=off"]
        if icount:
            command[-1] += f",{icount},rrfile=" + os.path.join(work, "replay.bin")
    if guest == "tiny":
        command += ["-m", "64", "-kernel", kernel, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]
    else:
        with open(os.path.join(LINUX, "cmdline")) as file:
            arguments = file.read().strip()
        command += ["-m", "256", "-kernel", os.path.join(LINUX, "vmlinuz"),
                    "-initrd", os.path.join(LINUX, "initramfs.gz"), "-append", arguments]
    if plugin is not None:
        command += ["-plugin", f"{PLUGIN},log={os.path.join(work, 'ttd.log')},run=recording,{plugin}"]
    return command


def thread_times(pid):
    """Nanoseconds that each thread of a process has run."""
    times = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                times[thread] = int(file.read().split()[0])
    except (OSError, IndexError, ValueError):
        pass  # it is just ending
    return times


def run(command, success):
    """Runs QEMU; returns seconds: elapsed, of the busiest thread, of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    busiest = 0
    while process.poll() is None:
        busiest = max([busiest, *thread_times(process.pid).values()])
        if time.monotonic() - began > 600:
            process.kill()
        time.sleep(0.01)
    elapsed = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != success:
        sys.exit(f"record.py: QEMU ended with status {process.returncode}: {' '.join(command)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"elapsed": elapsed, "thread": busiest / 1e9, "cpu": cpu}


def sizes(path):
    """What the chunk headers of a log say (docs/log-format.md)."""
    result = {"log": os.path.getsize(path), "branches": 0, "branch_raw": 0, "branch_stored": 0, "accesses": 0}
    with open(path, "rb") as file:
        offset = 4096
        while True:
            file.seek(offset)
            header = file.read(192)
            if len(header) < 192:
                return result
            if header[:4] != b"TTCK":
                offset += 64
                continue
            raw, stored = struct.unpack_from("<II", header, 24)
            stream, flags, count = header[32], struct.unpack_from("<I", header, 36)[0], \
                struct.unpack_from("<I", header, 56)[0]
            icount_last = struct.unpack_from("<Q", header, 96)[0]
            if stream == 1 and not flags & 1 << 5:  # not a body that also stands elided
                result["branches"] += count
                result["branch_raw"] += raw
                result["branch_stored"] += stored
            if stream == 3:
                result["accesses"] += count
            if stream in (1, 2, 3):
                result["instructions"] = max(result.get("instructions", 0), icount_last)
            offset = (offset + 192 + stored + 63) // 64 * 64


def measure(guest, kernel, repeat):
    success = 1 if guest == "tiny" else 0
    best = {}
    for turn in range(repeat):
        for name, icount, plugin in WAYS if turn % 2 == 0 else reversed(WAYS):
            with tempfile.TemporaryDirectory(prefix="tt-bench-") as work:
                times = run(qemu(guest, kernel, work, icount, plugin), success)
                entry = best.setdefault(name, {"guest": guest, "way": name, **times})
                for key, value in times.items():
                    entry[key] = min(entry[key], value)
                if plugin is not None:
                    entry.update(sizes(os.path.join(work, "ttd.log")))
                if icount:
                    entry["replay_bin"] = os.path.getsize(os.path.join(work, "replay.bin"))
    return [best[name] for name, _, _ in WAYS]


def table(rows):
    """Prints the rows of one guest as a Markdown table."""
    plain = rows[0]
    alone = next(row for row in rows if row["way"] == "rr=record")
    counted = max(rows, key=lambda row: row.get("branches", 0))
    instructions = counted.get("instructions", 0)
    print(f"\n{rows[0]['guest']} guest: {instructions / 1e6:.0f} M instructions, {counted.get('branches', 0) / 1e6:.1f} M "
          f"branches, {counted.get('accesses', 0) / 1e6:.2f} M accesses; load average {os.getloadavg()[0]:.1f}\n")
    print("| way | s | ÷ plain | ÷ rr | vCPU thread s | ÷ plain | ÷ rr | log, KB/s | bytes per 1,000 instructions "
          "| bytes a branch, raw | stored |")
    print("| --- " + "| ---: " * 10 + "|")
    for row in rows:
        cells = [row["way"]]
        for key in "elapsed", "thread":
            cells += [f"{row[key]:.2f}", f"{row[key] / plain[key]:.2f}", f"{row[key] / alone[key]:.2f}"]
        size = row.get("log", row.get("replay_bin"))
        cells += ["", ""] if size is None else [
            f"{size / 1e3 / row['elapsed']:.0f}", f"{1000 * size / max(1, instructions):.3f}"]
        cells += [f"{row['branch_raw'] / row['branches']:.2f}", f"{row['branch_stored'] / row['branches']:.3f}"] \
            if row.get("branch_stored") else ["", ""]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--guest", action="append", choices=["tiny", "linux"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=4000, help="of the tiny guest")
    parser.add_argument("--json", help="append one JSON line a row to this file")
    options = parser.parse_args()
    if not os.path.exists(PLUGIN):
        sys.exit("record.py: no plugin; run: make plugin")
    for guest in options.guest or ["tiny", "linux"]:
        with tempfile.TemporaryDirectory(prefix="tt-bench-") as built:
            kernel = None
            if guest == "tiny":
                subprocess.run(["make", "-s", "-C", os.path.join(ROOT, "hypervisor/guests/tiny"),
                                f"ROUNDS={options.rounds}", f"OUT={built}", f"{built}/tiny.elf"],
                               check=True, stdout=subprocess.DEVNULL)
                kernel = os.path.join(built, "tiny.elf")
            else:
                subprocess.run([os.path.join(ROOT, "hypervisor/guests/linux/build.sh")], check=True,
                               stdout=subprocess.DEVNULL)
            rows = measure(guest, kernel, options.repeat)
        table(rows)
        if options.json:
            with open(options.json, "a") as file:
                for row in rows:
                    file.write(json.dumps(row) + "\n")


main()
