#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What recording costs under QEMU 7.2 and 10.0: run time over plain TCG and over rr=record alone, log growth.

    record.py [--guest tiny|linux]... [--qemu 7.2|10.0]... [--repeat N] [--rounds N] [--json FILE]

Each guest runs N times in each way under each QEMU, in alternating order. The smallest of the N values is reported: elapsed
time, CPU time of the busiest thread (the vCPU's; on an idle machine it is close to the elapsed time), and CPU time of the
whole process (with the log's sealing thread). On a loaded machine elapsed time is unreliable and CPU times are usable.
Each QEMU's times are divided by those of its own plain TCG and its own rr=record.

Needs: make plugin; make qemu10 for QEMU 10.0. 7.2 is $QEMU or qemu-system-x86_64. The guests are built for it.
"""
import argparse
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PLUGIN = os.path.join(ROOT, "hypervisor/qemu/build/libttd.so")
LINUX = os.path.join(ROOT, "hypervisor/guests/linux/build")

# What QEMU 10.0 shows beyond branches; each is off in the rows before its own.
BARE = {"causes": "off", "state": "off", "values": "off", "context": "off"}
SEEN = [("causes, register digests", {"causes": "on", "state": "on"}), ("values", {"values": "on"}),
        ("context", {"context": "on"})]


def ways(new):
    """(name, additions to -icount or None for no -icount, plugin arguments or None for no plugin). `new`: with the rows
    that only QEMU 10.0 has."""
    yield "plain TCG", None, None
    yield "TCG with icount", "", None
    yield "rr=record", "rr=record", None
    options = BARE if new else {}
    for mode in "events", "digest":
        yield f"rr + {mode}", "rr=record", {**options, "mode": mode}
    yield "rr + branches, raw", "rr=record", {**options, "mode": "branches", "codec": "raw"}
    options = {**options, "mode": "branches"}
    yield "rr + branches", "rr=record", options
    for name, more in SEEN if new else []:
        options = {**options, **more}
        yield f"… + {name}", "rr=record", options
    yield "… + MMIO: everything", "rr=record", {**options, "mmio": "on"}


class QEMU:
    """One QEMU: its path, its version, and the arguments that the plugin knows in it."""

    def __init__(self, wanted):
        if wanted == "10.0":
            fetched = subprocess.run([os.path.join(ROOT, "scripts/fetch-qemu10")], stdout=subprocess.PIPE, text=True)
            if fetched.returncode != 0:
                sys.exit("record.py: no QEMU 10.0; --qemu 7.2 measures without it")
            self.path = fetched.stdout.strip()
        else:
            self.path = os.environ.get("QEMU", "qemu-system-x86_64")
        said = subprocess.run([self.path, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.version = re.search(r"version (\d+\.\d+)", said).group(1)
        if self.version != wanted:
            sys.exit(f"record.py: {self.path} is QEMU {self.version}, expected {wanted}")
        # The plugin refuses an unknown argument and lists the known ones.
        refusal = subprocess.run([self.path, "-M", "none", "-plugin", f"{PLUGIN},unknown=1"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60).stderr
        keys = re.search(r"expected a key out of (.*)", refusal)
        if not keys:
            sys.exit(f"record.py: {PLUGIN} in {self.path} does not list its arguments: {refusal}")
        self.keys = set(re.split(r", ", keys.group(1).strip()))
        self.ways = list(self.possible_ways())

    def possible_ways(self):
        """The ways in which this QEMU can run. A way that the plugin does not know is reported and left out."""
        for name, icount, options in ways(self.version != "7.2"):
            missing = [key for key, value in (options or {}).items() if key not in self.keys and value != "off"]
            if missing:
                print(f"record.py: QEMU {self.version}: the plugin does not know {', '.join(missing)}: "
                      f"'{name}' is not measured", file=sys.stderr)
                continue
            yield name, icount, options and {key: options[key] for key in options if key in self.keys}


def command_line(qemu, guest, kernel, work, icount, options):
    command = [qemu.path, "-M", "pc", "-cpu", "qemu64", "-nodefaults",
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
    if options is not None:
        more = ",".join(f"{key}={value}" for key, value in options.items())
        command += ["-plugin", f"{PLUGIN},log={os.path.join(work, 'ttd.log')},run=recording,{more}"]
    return command


def thread_times(pid):
    """CPU nanoseconds of each thread of a process."""
    times = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                times[thread] = int(file.read().split()[0])
    except (OSError, IndexError, ValueError):
        pass  # the process is exiting
    return times


def run(command, work, last_line):
    """Runs QEMU; returns seconds: elapsed, of the busiest thread, of the whole process. The guest's last line
    shows whether it finished; QEMU 10.0's exit status does not."""
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
    with open(os.path.join(work, "serial.log"), errors="replace") as file:
        if process.returncode not in (0, 1) or last_line not in file.read():
            sys.exit(f"record.py: QEMU ended with status {process.returncode} before the guest finished: {' '.join(command)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"elapsed": elapsed, "thread": busiest / 1e9, "cpu": cpu}


def sizes(path):
    """Sums over the chunk headers of a log (docs/log-format.md)."""
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
            if stream == 1 and not flags & 1 << 5:  # not a body that is also in the log elided
                result["branches"] += count
                result["branch_raw"] += raw
                result["branch_stored"] += stored
            if stream == 3:
                result["accesses"] += count
            if stream in (1, 2, 3):
                result["instructions"] = max(result.get("instructions", 0), icount_last)
            offset = (offset + 192 + stored + 63) // 64 * 64


def measure(qemus, guest, kernel, repeat):
    """Rows in the order of the ways, both QEMUs next to each other."""
    last_line = "tiny: end" if guest == "tiny" else "guest: done"
    order = [name for name, *_ in ways(True)]
    runs = sorted(((qemu, *way) for qemu in qemus for way in qemu.ways), key=lambda run: order.index(run[1]))
    best = {}
    for turn in range(repeat):
        for qemu, name, icount, options in runs if turn % 2 == 0 else reversed(runs):
            with tempfile.TemporaryDirectory(prefix="tt-bench-") as work:
                times = run(command_line(qemu, guest, kernel, work, icount, options), work, last_line)
                entry = best.setdefault((qemu.version, name),
                                        {"guest": guest, "qemu": qemu.version, "way": name, **times})
                for key, value in times.items():
                    entry[key] = min(entry[key], value)
                if options is not None:
                    entry.update(sizes(os.path.join(work, "ttd.log")))
                if icount:
                    entry["replay_bin"] = os.path.getsize(os.path.join(work, "replay.bin"))
    return [best[qemu.version, name] for qemu, name, _, _ in runs]


def table(rows):
    """Prints the rows of one guest as a Markdown table."""
    def of(row, way):
        return next(other for other in rows if other["way"] == way and other["qemu"] == row["qemu"])

    counted = max(rows, key=lambda row: row.get("accesses", 0))
    print(f"\n{rows[0]['guest']} guest: {counted.get('instructions', 0) / 1e6:.0f} M instructions, "
          f"{max(row.get('branches', 0) for row in rows) / 1e6:.1f} M branches, "
          f"{counted.get('accesses', 0) / 1e6:.2f} M accesses; load average {os.getloadavg()[0]:.1f}\n")
    print("| way | QEMU | s | ÷ plain | ÷ rr | vCPU thread s | ÷ plain | ÷ rr | log, KB/s "
          "| bytes per 1,000 instructions | bytes a branch, raw | stored |")
    print("| --- " + "| ---: " * 11 + "|")
    for row in rows:
        cells = [row["way"], row["qemu"]]
        for key in "elapsed", "thread":
            cells += [f"{row[key]:.2f}", f"{row[key] / of(row, 'plain TCG')[key]:.2f}",
                      f"{row[key] / of(row, 'rr=record')[key]:.2f}"]
        size = row.get("log", row.get("replay_bin"))
        instructions = of(row, "rr + branches").get("instructions", 0)
        cells += ["", ""] if size is None else [
            f"{size / 1e3 / row['elapsed']:.0f}", f"{1000 * size / max(1, instructions):.3f}"]
        cells += [f"{row['branch_raw'] / row['branches']:.2f}", f"{row['branch_stored'] / row['branches']:.3f}"] \
            if row.get("branch_stored") else ["", ""]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--guest", action="append", choices=["tiny", "linux"])
    parser.add_argument("--qemu", action="append", choices=["7.2", "10.0"], help="both, if not given")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=4000, help="of the tiny guest")
    parser.add_argument("--json", help="append one JSON line a row to this file")
    options = parser.parse_args()
    if not os.path.exists(PLUGIN):
        sys.exit("record.py: no plugin; run: make plugin")
    qemus = [QEMU(version) for version in options.qemu or ["7.2", "10.0"]]
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
            rows = measure(qemus, guest, kernel, options.repeat)
        table(rows)
        if options.json:
            with open(options.json, "a") as file:
                for row in rows:
                    file.write(json.dumps(row) + "\n")


main()
