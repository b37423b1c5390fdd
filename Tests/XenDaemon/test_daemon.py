# SPDX-License-Identifier: GPL-2.0-or-later
"""ttd-deviced without Xen: its rings are files, and the tests play the hypervisor.

Usage: test_daemon.py [NAME ...]   DEVICED names the daemon, BIN the directory of the tools.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import guest  # noqa: E402
from rings import BRANCHES, BREAK, CLOSED, CONSOLE, CONSUMED, DIVERGED, END, EXIT, FOREIGN_READ, PAGE, RECORD, Ring, record  # noqa: E402
from rings import SHARED_WRITE, VERSION  # noqa: E402

DEVICED = os.environ.get("DEVICED", os.path.join(ROOT, "hypervisor/xen/ttd-deviced/build/ttd-deviced"))
BIN = os.environ.get("BIN", os.path.join(ROOT, ".build/release"))
STOPPED, SHUTDOWN, COMPLETE, DESTROYED = 0, 1, 2, 3


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class DaemonTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ttd-test-")
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def contents(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def start(self, *arguments, **options):
        command = [DEVICED, "--lock", self.path("lock"), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        self.processes.append(process)
        return process

    def start_recording(self, log="ttd.log", pages=4, *options):
        out = Ring(self.path("out"), pages)
        rings = f"{out.path},{self.path('none')}"
        daemon = self.start("-f", self.path(log), "--record", "7", "--rings", rings, *options)
        self.assertEqual(daemon.stdout.readline(), "started\n", daemon.poll())
        return daemon, out

    def start_replay(self, source="ttd.log", log="replay.log", pages=4, *options):
        out, into = Ring(self.path("out2"), pages), Ring(self.path("in2"), pages)
        daemon = self.start(
            "-f", self.path(log), "--replay", "8", "--recording", self.path(source), "--rings", f"{out.path},{into.path}",
            *options)
        self.assertEqual(daemon.stdout.readline(), "started\n", daemon.poll())
        return daemon, out, into

    def finish(self, daemon, status):
        output, errors = daemon.communicate(timeout=60)
        self.assertEqual(daemon.returncode, status, output + errors)
        return output + errors

    def record_guest(self, count, log="ttd.log", seed=1, end=SHUTDOWN, options=()):
        records = list(guest.run(count, seed))
        daemon, out = self.start_recording(log, 4, *options)
        for fields in records:
            out.put(fields)
        out.put(record(END, clock=count, info=end))
        self.finish(daemon, 0)
        return records

    def analyze(self, *arguments):
        done = subprocess.run([f"{BIN}/tt-analyze", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def info(self, log):
        done = subprocess.run(
            [f"{BIN}/tt-analyze", "info", "--format", "json", self.path(log)], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)

    def events(self, log):
        done = subprocess.run([f"{BIN}/tt-analyze", "events", "--format", "jsonl", self.path(log)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout
        return [json.loads(line) for line in text.splitlines()[1:]]


class RecordingTests(DaemonTest):
    def test_log_holds_the_records(self):
        records = self.record_guest(3000)
        status, text = self.analyze("verify", self.path("ttd.log"))
        self.assertEqual(status, 0, text)
        self.assertEqual(self.info("ttd.log")["clock"], "synchronousEntries")
        events = [event for event in self.events("ttd.log") if event.get("stream", "event") != "meta"]
        exits = [fields for fields in records if fields["type"] == EXIT]
        found = [event for event in events if event["kind"] == "exit"]
        self.assertEqual(len(found), len(exits))
        self.assertEqual([int(event["brctr"]) for event in found], [fields["clock"] for fields in exits])
        self.assertEqual([int(event["ip"], 16) for event in found], [fields["rip"] for fields in exits])

    def test_size_of_an_exit(self):
        count = 60000
        self.record_guest(count)
        size = os.path.getsize(self.path("ttd.log"))
        print(f"{size / count:.1f} bytes an exit", file=sys.stderr)
        self.assertLess(size / count, 15)  # more random than a Linux, which has 6

    def test_a_killed_daemon_loses_nothing_that_it_took(self):
        numbers = random.Random(3)
        records = list(guest.run(3000))
        for round in range(20):
            daemon, out = self.start_recording("log")
            for fields in records[: numbers.randrange(1, len(records))]:
                out.put(fields)
            daemon.kill()
            daemon.communicate()
            taken = self.count_records(out.word(CONSUMED).value, records)
            events = self.events("log")
            self.assertGreaterEqual(len(events), taken)
            self.assertEqual(
                [int(event["brctr"]) for event in events], [fields["clock"] for fields in records[: len(events)]])
            for name in ("log", "log.open"):
                os.unlink(self.path(name))

    def test_a_log_that_cannot_be_made(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        out = Ring(self.path("out"), 4)
        options = ["--record", "7", "--rings", f"{out.path},{self.path('none')}"]
        text = self.finish(self.start("-f", self.path("ttd.log"), *options, preexec_fn=limit), 2)
        self.assertIn("File too large", text)
        self.assertIn("No such file", self.finish(self.start("-f", self.path("no/ttd.log"), *options), 2))

    def count_records(self, consumed, records):
        """The number of records in the first `consumed` bytes of the ring."""
        position = 0
        size = 4 * PAGE
        for count, fields in enumerate(records):
            length = (RECORD.size + len(fields["payload"]) + 7) // 8 * 8
            if size - position % size < length:
                position += size - position % size
            position += length
            if position > consumed:
                return count
        return len(records)

    def test_sigterm_closes_the_log(self):
        daemon, out = self.start_recording()
        for fields in guest.run(500):
            out.put(fields)
        daemon.send_signal(signal.SIGTERM)
        while not os.path.exists(out.path + ".stop"):
            time.sleep(0.01)
        out.put(record(END, clock=500, info=STOPPED))
        self.assertIn("the operator ended it", self.finish(daemon, 0))
        self.assertEqual(self.analyze("verify", self.path("ttd.log"))[0], 0)
        self.assertFalse(os.path.exists(self.path("ttd.log.open")))

    def test_a_domain_that_dies(self):
        daemon, out = self.start_recording()
        for fields in guest.run(500):
            out.put(fields)
        os.unlink(out.path)
        self.assertIn("the domain is gone", self.finish(daemon, 0))
        self.assertEqual(len([event for event in self.events("ttd.log") if event["kind"] == "exit"]), 500)

    def test_a_ring_that_had_no_room_ends_the_recording(self):
        daemon, out = self.start_recording()
        for fields in guest.run(500):
            out.put(fields)
        out.word(CLOSED, ctypes.c_uint32).value = 1
        self.assertIn("use more --pages", self.finish(daemon, 2))
        self.assertEqual(len([event for event in self.events("ttd.log") if event["kind"] == "exit"]), 500)

    def test_memory_is_digested_at_breaks(self):
        daemon, out = self.start_recording("ttd.log", 4, "--digests", "100")
        for fields in guest.run(250):
            if fields["type"] == EXIT and fields["clock"] and fields["clock"] % 100 == 0:
                out.put(record(BREAK, clock=fields["clock"]))
            out.put(fields)
        out.put(record(END, clock=250, info=SHUTDOWN))
        self.assertIn("3 digests of memory", self.finish(daemon, 0))
        digests = [event for event in self.events("ttd.log") if event["kind"] == "page-digests"]
        self.assertEqual([int(event["brctr"]) for event in digests], [100, 100, 200, 200, 250, 250])

    def test_a_guest_that_is_destroyed_while_its_memory_is_digested_ends_the_log(self):
        daemon, out = self.start_recording("ttd.log", 4, "--digests", "100")
        for fields in guest.run(200):
            if fields["type"] == EXIT and fields["clock"] == 100:
                open(out.path + ".destroyed", "w").close()
                out.put(record(BREAK, clock=100))
            out.put(fields)
        out.put(record(END, clock=200, info=DESTROYED))
        self.assertIn("the domain was destroyed", self.finish(daemon, 0))
        self.assertEqual(self.analyze("verify", self.path("ttd.log"))[0], 0)

    def test_the_console_is_a_file(self):
        daemon, out = self.start_recording("ttd.log", 4, "--console", self.path("console"))
        for number, fields in enumerate(guest.run(500)):
            out.put(fields)
            if number % 100 == 0:
                out.put(record(CONSOLE, clock=fields["clock"], payload=b"line %d\r\n" % number))
        out.put(record(END, clock=500, info=SHUTDOWN))
        self.finish(daemon, 0)
        with open(self.path("console"), "rb") as file:
            self.assertEqual(file.read(), b"".join(b"line %d\r\n" % (100 * i) for i in range(6)))
        self.assertEqual({event["kind"] for event in self.events("ttd.log")} & {"console"}, set())

    def test_a_console_that_cannot_be_written_does_not_end_the_run(self):
        daemon, out = self.start_recording("ttd.log", 4, "--console", "/dev/full")
        out.put(record(CONSOLE, clock=0, payload=b"lost"))
        out.put(record(END, clock=0, info=SHUTDOWN))
        self.assertIn("/dev/full: lacks 4 bytes of the guest's console: No space left", self.finish(daemon, 0))

    def test_after_a_kill_the_guest_is_held_or_goes_on(self):
        for choice, goes_on in (("hold", False), ("release", True)):
            daemon, out = self.start_recording("log", 4, "--if-killed", choice)
            out.put(next(guest.run(1)))
            daemon.kill()
            daemon.communicate()
            # The guardian holds the lock until it has done its work.
            with open(self.path("lock")) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(os.path.exists(out.path + ".stop"), goes_on, choice)
        os.unlink(out.path + ".stop")
        daemon, out = self.start_recording("log2", 4, "--if-killed", "release")
        out.put(record(END, clock=0, info=SHUTDOWN))
        self.finish(daemon, 0)
        self.assertFalse(os.path.exists(out.path + ".stop"))

    def test_writes_to_shared_pages_have_a_reason(self):
        """Offsets are those of struct shared_info and struct vcpu_info in Xen's public/xen.h."""
        shared_info, vcpu_info, console = 0, 1, 2
        writes = [
            (shared_info, 0x800, 8, "event channel"), (shared_info, 0xbff, 1, "event channel"), (shared_info, 0xc00, 12, "time"),
            (shared_info, 0xc10, 8, ""), (shared_info, 0, 64, "event channel, time"), (shared_info, 0xbfe, 3, "event channel, time"),
            (vcpu_info, 0, 1, "event channel"), (vcpu_info, 8, 8, "event channel"), (vcpu_info, 16, 16, ""),
            (vcpu_info, 32, 32, "time"), (console, 0, 8, "")]
        daemon, out = self.start_recording("ttd.log", 4)
        out.put(record(EXIT, clock=0, rip=0x100, kind=11))
        for area, offset, length, _ in writes:
            out.put(record(SHARED_WRITE, clock=1, code=area, info=offset, payload=b"\xff" * length))
        out.put(record(END, clock=1, info=SHUTDOWN))
        self.finish(daemon, 0)
        found = [event["fields"] for event in self.events("ttd.log") if event["kind"] == "foreign-write"]
        self.assertEqual([int(fields["size"]) for fields in found], [length for _, _, length, _ in writes])
        for fields, (_, _, _, reason) in zip(found, writes):
            names = [name for name in ("event_channel", "time") if fields[name]]
            self.assertEqual(", ".join(names).replace("_", " "), reason)
        # A replay gets the same writes.
        daemon, out, into = self.start_replay()
        self.assertEqual(into.take()["type"], EXIT)
        for area, offset, length, _ in writes:
            taken = into.take()
            self.assertEqual((taken["type"], taken["code"], taken["info"], len(taken["payload"])), (SHARED_WRITE, area, offset, length))
        daemon.kill()
        daemon.communicate()

    def test_a_damaged_ring_ends_the_recording(self):
        for damage in (b"\x04" + bytes(7), b"\x09" + bytes(7), b"\xf8\xff\xff\x7f\x01" + bytes(3), b"\x08\0\0\0\x01" + bytes(3)):
            daemon, out = self.start_recording("log")
            out.raw(damage)
            self.assertIn("damaged ring", self.finish(daemon, 2))
            self.assertEqual(self.analyze("verify", self.path("log"))[0], 0)
            os.unlink(self.path("log"))


class ReplayTests(DaemonTest):
    def replay(self, change=lambda number, fields: fields, source="ttd.log", options=()):
        """Plays the hypervisor: repeats what it gets. Returns the daemon, the records fed, and its out ring."""
        daemon, out, into = self.start_replay(source, "replay.log", 2, *options)
        fed = []
        while (fields := into.take()) is not None and fields["type"] != END:
            fed.append(fields)
            fields = change(len(fed) - 1, fields)
            if fields is None:
                return daemon, fed, out
            out.put(fields)
        out.put(record(END, clock=fields["clock"], info=COMPLETE))
        return daemon, fed, out

    def test_a_replay_gets_the_recording(self):
        records = self.record_guest(20000)
        daemon, fed, _ = self.replay()
        self.assertIn("reached its recording's end", self.finish(daemon, 0))
        self.assertEqual(fed, [guest.as_fed(fields) for fields in records])
        status, text = self.analyze("diverge", self.path("ttd.log"), self.path("replay.log"))
        self.assertEqual(status, 0, text)
        self.assertIn("identical", text)

    def test_changes_of_the_address_space_are_events(self):
        """A replay exits at them as its recording did, without an option; the same value is no change."""
        values = [0x1000, 0x2000, 0x2000, 0x1000, 0]
        exits = [record(EXIT, clock=clock, rip=0x100 + clock, kind=11, info=3 if value else 0, value=value)
                 for clock, value in enumerate(values)]
        daemon, out = self.start_recording("ttd.log", 4, "--switches")
        for fields in [*exits, record(END, clock=len(exits), info=SHUTDOWN)]:
            out.put(fields)
        self.finish(daemon, 0)
        daemon, out, into = self.start_replay()
        for fields in exits:
            taken = into.take()
            self.assertEqual((taken["type"], taken["clock"], taken["info"]), (EXIT, fields["clock"], fields["info"]))
            out.put({**taken, "value": fields["value"]})
        out.put(record(END, clock=len(exits), info=COMPLETE))
        self.finish(daemon, 0)
        for log in ["ttd.log", "replay.log"]:
            contexts = [event for event in self.events(log) if event["kind"] == "context"]
            self.assertEqual([(int(event["brctr"]), int(event["ip"], 16), int(event["fields"]["cr3"], 16)) for event in contexts],
                             [(1, 0x100, 0x1000), (2, 0x101, 0x2000), (4, 0x103, 0x1000)])
        self.assertEqual(self.analyze("diverge", self.path("ttd.log"), self.path("replay.log"))[0], 0)

    def test_positions_by_instructions(self):
        records = [{**fields, "instructions": 7 * (fields["clock"] % 90 + 1)} for fields in guest.run(2000)]
        for fields in records:
            if fields["type"] != EXIT and not fields["flags"]:
                fields["instructions"] = 0
        daemon, out = self.start_recording("ttd.log", 4, "--count", "2")
        for fields in records:
            out.put(fields)
        out.put(record(END, clock=2000, info=SHUTDOWN))
        self.finish(daemon, 0)
        exits = [event for event in self.events("ttd.log") if event["kind"] == "exit"]
        total = 0
        for event, fields in zip(exits, (fields for fields in records if fields["type"] == EXIT), strict=True):
            total += fields["instructions"]
            self.assertEqual(int(event["icount"]), total)
        self.assertIn("xen.tsc-shift=2", self.analyze("events", "--stream", "meta", self.path("ttd.log"))[1])
        daemon, fed, _ = self.replay()
        self.finish(daemon, 0)
        self.assertEqual(fed, [guest.as_fed(fields) for fields in records])

    def test_a_divergence_is_named(self):
        self.record_guest(5000)
        place = 3456

        def change(number, fields):
            if fields["type"] != EXIT or fields["clock"] != place:
                return fields
            return None

        daemon, fed, out = self.replay(change)
        due = fed[-1]
        out.put(record(DIVERGED, clock=place, rip=due["rip"], kind=due["kind"], info=due["info"], hash=due["hash"] ^ 1, mask=1))
        self.assertIn("replay diverged", self.finish(daemon, 1))
        status, text = self.analyze("diverge", self.path("ttd.log"), self.path("replay.log"))
        self.assertEqual(status, 1, text)
        self.assertIn(f"original  exit {place}\n", text)
        self.assertIn(f"tt-analyze events --around {place}:20 ", text)

    def test_what_the_guest_sends_is_compared(self):
        self.record_guest(5000)
        place = next(fields for fields in guest.run(5000) if fields["type"] == FOREIGN_READ and fields["clock"] > 3000)

        def change(number, fields):
            return fields if fields["clock"] < place["clock"] or fields["type"] != FOREIGN_READ else None

        daemon, fed, out = self.replay(change)
        self.assertEqual((fed[-1]["info"], fed[-1]["mask"], fed[-1]["value"]), (place["info"], 66, place["value"]))
        out.put({**fed[-1], "value": place["value"] ^ 1})
        out.put(record(DIVERGED, clock=place["clock"], mask=6))
        self.assertIn("replay diverged: what the guest sends", self.finish(daemon, 1))
        status, text = self.analyze("diverge", self.path("ttd.log"), self.path("replay.log"))
        self.assertEqual(status, 1, text)
        self.assertIn(f"{place['value'] ^ 1:x}", text)

    def test_a_killed_recording_is_replayed(self):
        daemon, out = self.start_recording()
        for fields in guest.run(9000):
            out.put(fields)
        daemon.kill()
        daemon.communicate()
        files = [self.path(name) for name in ("ttd.log", "ttd.log.open")]
        before = [(self.contents(path), os.stat(path).st_mtime_ns) for path in files]
        daemon, fed, _ = self.replay()
        self.finish(daemon, 0)
        self.assertGreater(len(fed), 8000)
        self.assertEqual([(self.contents(path), os.stat(path).st_mtime_ns) for path in files], before)
        self.assertEqual([name for name in os.listdir(self.folder) if "recovered" in name], [])

    def test_a_log_that_is_being_written_is_refused(self):
        self.start_recording()
        rings = f"{Ring(self.path('o'), 1).path},{Ring(self.path('i'), 1).path}"
        text = self.finish(self.start(
            "--lock", self.path("lock2"), "-f", self.path("r.log"), "--replay", "8", "--recording", self.path("ttd.log"),
            "--rings", rings), 2)
        self.assertIn("another process is writing this log", text)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("r.log")], [])

    def test_a_recording_only_is_refused(self):
        self.record_guest(50, options=("--attribute", "xen.recording-only=it handles machine frames"))
        rings = f"{Ring(self.path('out3'), 4).path},{Ring(self.path('in3'), 4).path}"
        arguments = ("-f", self.path("other.log"), "--replay", "8", "--recording", self.path("ttd.log"), "--rings", rings)
        text = self.finish(self.start(*arguments), 2)
        self.assertIn("a recording only, which cannot be replayed: it handles machine frames", text)
        self.assertFalse(os.path.exists(self.path("other.log")))
        daemon, _, _ = self.replay(options=("--force",))
        self.finish(daemon, 0)

    def test_a_recording_of_another_interface_is_refused(self):
        """Its hashes of registers are others: a replay would diverge at the first exit."""
        self.record_guest(50)
        log = bytearray(self.contents("ttd.log"))
        generation, checksum = 78, 12
        self.assertEqual(struct.unpack_from("<H", log, generation), (VERSION,))
        struct.pack_into("<H", log, generation, VERSION - 1)
        struct.pack_into("<I", log, checksum, 0)
        struct.pack_into("<I", log, checksum, crc32c(log[:4096]))
        with open(self.path("ttd.log"), "wb") as file:
            file.write(log)
        rings = f"{Ring(self.path('out3'), 4).path},{Ring(self.path('in3'), 4).path}"
        arguments = ("-f", self.path("other.log"), "--replay", "8", "--recording", self.path("ttd.log"), "--rings", rings)
        text = self.finish(self.start(*arguments), 2)
        self.assertIn(f"recorded with interface {VERSION - 1} of the hypervisor; this is interface {VERSION}", text)
        self.assertFalse(os.path.exists(self.path("other.log")))

    def test_a_log_of_a_pv_guest_needs_one(self):
        self.record_guest(50, options=("--attribute", "xen.guest=pv"))
        rings = f"{Ring(self.path('out3'), 4).path},{Ring(self.path('in3'), 4).path}"
        arguments = ("-f", self.path("other.log"), "--replay", "8", "--recording", self.path("ttd.log"), "--rings", rings)
        self.assertIn("a log of a PV guest", self.finish(self.start(*arguments), 2))

    def test_recordings_of_other_guests_are_refused(self):
        self.record_guest(10, options=("--attribute", "guest.kernel.sha256=aa"))
        rings = f"{Ring(self.path('o'), 1).path},{Ring(self.path('i'), 1).path}"
        arguments = ["-f", self.path("r.log"), "--replay", "8", "--recording", self.path("ttd.log"), "--rings", rings]
        text = self.finish(self.start(*arguments, "--attribute", "guest.kernel.sha256=bb"), 2)
        self.assertIn("a log of another guest: its guest.kernel.sha256 is aa", text)
        self.assertFalse(os.path.exists(self.path("r.log")))

    def test_files_that_are_no_logs_are_refused(self):
        rings = f"{Ring(self.path('o'), 1).path},{Ring(self.path('i'), 1).path}"
        for name, contents in (("empty", b""), ("text", b"x" * 10000), ("short", b"\x89TTD\r\n\x1a\n" + bytes(4000))):
            with open(self.path(name), "wb") as file:
                file.write(contents)
            text = self.finish(self.start("-f", self.path("r.log"), "--replay", "8", "--recording", self.path(name), "--rings", rings), 2)
            self.assertIn(f"{self.path(name)}: ", text)
        text = self.finish(self.start("-f", self.path("r.log"), "--replay", "8", "--recording", self.path("missing"), "--rings", rings), 2)
        self.assertIn("No such file", text)
        text = self.finish(self.start("-f", self.path("r.log"), "--replay", "8", "--recording", self.folder, "--rings", rings), 2)
        self.assertIn("not a regular file", text)

    def test_a_replay_that_is_cut_short_is_trouble(self):
        self.record_guest(3000)
        daemon, out, into = self.start_replay()
        for _ in range(100):
            out.put(into.take())
        os.unlink(out.path)
        self.assertIn("the domain is gone", self.finish(daemon, 2))

    def test_a_replay_waits_where_it_is_to_pause(self):
        self.record_guest(100)
        daemon, out, into = self.start_replay("ttd.log", "replay.log", 4, "--pause-at", "50")
        while (fields := into.take())["clock"] < 50:
            out.put(fields)
        out.put(record(BREAK, clock=50))
        self.assertEqual(daemon.stdout.readline(), "paused at clock 50\n")
        daemon.send_signal(signal.SIGTERM)
        while not os.path.exists(out.path + ".stop"):
            time.sleep(0.01)
        out.put(record(END, clock=50, info=STOPPED))
        self.finish(daemon, 0)

    def test_a_branch_window_is_a_log_of_its_own(self):
        # A jmp to itself, a ret, a nop after which a handler began; from, to, instructions, size, bytes.
        branches = [(0x1000, 0x1000, 5, 2, b"\xeb\xfe"), (0x2000, 0x2010, 9, 1, b"\xc3"), (0x2010, 0x9000, 10, 1, b"\x90")]
        payload = b"".join(struct.pack("<QQQB15s", *branch) for branch in branches)
        self.record_guest(100)

        def replay(kind, payload):
            daemon, out, into = self.start_replay("ttd.log", "replay.log", 4, "--branches", "40..60,1000")
            while (fields := into.take())["type"] != END:
                if fields["type"] == EXIT and fields["clock"] == 50:
                    out.put(record(BRANCHES, clock=50, info=11, kind=kind, payload=payload))
                out.put(fields)
            out.put(record(END, clock=fields["clock"], info=COMPLETE))
            return daemon

        text = self.finish(replay(2, payload), 0)
        self.assertIn("3 branches of 11 instructions, to the limit of instructions: ", text)
        self.assertEqual(self.analyze("diverge", self.path("ttd.log"), self.path("replay.log"))[0], 0)
        status, text = self.analyze("verify", self.path("replay.log.branches"))
        self.assertEqual(status, 0, text)
        done = subprocess.run([f"{BIN}/bts-dump", self.path("replay.log.branches")], capture_output=True, text=True)
        rows = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual([[int(row[1], 16), int(row[3], 16), int(row[5])] for row in rows], [list(b[:3]) for b in branches])
        self.assertEqual([row[4] for row in rows], ["jmp!", "ret", "none"], done.stdout)
        kinds = [event["kind"] for event in self.events("replay.log.branches")]
        self.assertEqual(kinds.count("exit"), 10)  # of clocks 40 to 49; the window ended before exit 50
        self.assertEqual(kinds.count("discontinuity"), 1)

        for damaged in (payload[:-8], struct.pack("<QQQB15s", 1, 2, 0, 1, b"\xc3")):
            os.unlink(self.path("replay.log"))
            os.unlink(self.path("replay.log.branches"))
            daemon, out, _ = self.start_replay("ttd.log", "replay.log", 4, "--branches", "40..60")
            out.put(record(BRANCHES, clock=40, payload=damaged))
            self.assertIn("damaged ring", self.finish(daemon, 2))

    def test_branch_records_of_a_processor_have_gaps(self):
        self.record_guest(100)
        daemon, out, into = self.start_replay("ttd.log", "replay.log", 4, "--branches", "40..60", "--branch-source", "lbr")
        known = [struct.pack("<QQQB15s", source, source + 16, 0, 0, b"") for source in (0x1000, 0x2000, 0x3000)]
        going_on, reached, gap = 0, 1, 7
        while (fields := into.take())["type"] != END:
            if fields["type"] == EXIT and fields["clock"] == 50:
                out.put(record(BRANCHES, clock=50, kind=gap, payload=known[0]))
                out.put(record(BRANCHES, clock=50, kind=going_on, payload=known[1]))
                out.put(record(BRANCHES, clock=50, kind=reached, payload=known[2]))
            out.put(fields)
        out.put(record(END, clock=fields["clock"], info=COMPLETE))
        self.assertIn("3 branches with 1 gaps, to the window's end: ", self.finish(daemon, 0))
        log = self.path("replay.log.branches")
        status, text = self.analyze("verify", log)
        self.assertEqual(status, 0, text)
        done = subprocess.run([f"{BIN}/bts-dump", log], capture_output=True, text=True)
        self.assertEqual([int(line.split()[1], 16) for line in done.stdout.splitlines()], [0x1000, 0x2000, 0x3000])
        gaps = [event for event in self.events("replay.log.branches") if event["kind"] == "trace-gap"]
        self.assertEqual([event["brctr"] for event in gaps], ["1"])

    def test_branch_records_are_decoded(self):
        program = self.path("branch_stack")
        subprocess.run(["cc", "-std=gnu11", "-Wall", "-Werror", "-o", program, os.path.join(HERE, "branch_stack.c")], check=True)
        done = subprocess.run([program], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_damaged_logs_are_refused(self):
        """No byte of a log makes the daemon crash or feed a record that is not in the recording."""
        records = [guest.as_fed(fields) for fields in self.record_guest(400)]
        with open(self.path("ttd.log"), "rb") as file:
            whole = file.read()
        numbers = random.Random(5)
        refused = 0
        for number in range(60):
            damaged = bytearray(whole)
            place = numbers.randrange(4096, len(whole)) if number % 4 else numbers.randrange(200)
            damaged[place] ^= 1 << numbers.randrange(8)
            if number % 7 == 0:
                del damaged[place:]
            with open(self.path("damaged"), "wb") as file:
                file.write(damaged)
            out, into = Ring(self.path("o"), 64), Ring(self.path("i"), 64)
            daemon = self.start(
                "-f", self.path("r.log"), "--replay", "8", "--recording", self.path("damaged"), "--rings", f"{out.path},{into.path}")
            if daemon.stdout.readline() == "started\n":
                os.unlink(out.path)
                self.finish(daemon, 2)
                fed = []
                while (fields := into.take()) is not None:
                    fed.append(fields)
                self.assertEqual(fed[:-1], records)
            else:
                text = self.finish(daemon, 2)
                self.assertIn(self.path("damaged"), text)
                refused += 1
        self.assertGreater(refused, 40)

    def test_the_recording_is_not_overwritten(self):
        self.record_guest(10)
        rings = f"{Ring(self.path('o'), 1).path},{Ring(self.path('i'), 1).path}"
        text = self.finish(self.start("-f", self.path("ttd.log"), "--replay", "8", "--recording", self.path("ttd.log"), "--rings", rings), 2)
        self.assertIn("the recording itself", text)


class DaemonTests(DaemonTest):
    def test_one_daemon_at_a_time(self):
        daemon, _ = self.start_recording()
        text = self.finish(self.start("-f", self.path("other.log"), "--record", "9"), 2)
        self.assertIn(f"another ttd-deviced is running (process {daemon.pid}", text)

    def test_requests_at_a_socket(self):
        out = Ring(self.path("out"), 4)
        socket = self.path("socket")
        self.start("-f", self.path("default.log"), "--socket", socket, "--rings", f"{out.path},{self.path('none')}")
        while not os.path.exists(socket):
            time.sleep(0.01)

        def ask(request):
            done = subprocess.run([DEVICED, "--socket", socket, "--ask", request], capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr

        self.assertEqual(ask("status"), (0, "ok idle\n"))
        self.assertEqual(ask(f"record 7 {self.path('ttd.log')}"), (0, "ok started\n"))
        self.assertIn("stop it first", ask("record 8")[1])
        for fields in guest.run(100):
            out.put(fields)
        out.put(record(END, clock=100, info=SHUTDOWN))
        while ask("status")[1] != "ok idle\n":
            time.sleep(0.05)
        self.assertEqual(self.analyze("verify", self.path("ttd.log"))[0], 0)
        self.assertEqual(ask("stop")[0], 2)
        self.assertEqual(ask("dance")[0], 2)

    def test_command_lines_that_are_refused(self):
        for arguments, text in (
            (["--record", "1", "--replay", "2"], "exclude each other"),
            (["--replay", "2"], "needs --recording"),
            (["--digests", "-1"], "--digests"),
            (["--uuid", "xyz"], "--uuid"),
            (["--attribute", "nokey"], "KEY=VALUE"),
            (["--pages", "3"], "at least 64"),
            (["--replay", "2", "--recording", "x", "--branches", "9..9"], "FROM below TO"),
            (["--replay", "2", "--recording", "x", "--branches", "1..9,"], "FROM below TO"),
            (["--record", "2", "--branches", "1..9"], "belongs to --replay"),
            (["--replay", "2", "--recording", "x", "--branches", "1..9", "--branch-source", "pt"], "step, lbr, bts or brs"),
            (["--replay", "2", "--recording", "x", "--branches", "1..9,5", "--branch-source", "lbr"], "only --branch-source step"),
            (["--replay", "2", "--recording", "x", "--branch-source", "brs"], "belongs to --branches"),
            (["--count", "11"], "a number up to 10"),
            (["--if-killed", "perhaps"], "hold or release"),
            (["word"], "not an option"),
        ):
            self.assertIn(text, self.finish(self.start(*arguments), 2))


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is missing")
class UnitTests(DaemonTest):
    def test_systemd_takes_the_unit(self):
        with open(os.path.join(ROOT, "hypervisor/xen/ttd-deviced/ttd-deviced.service")) as file:
            unit = file.read()
        for name in ("xenstored.service", "xenconsoled.service"):
            with open(self.path(name), "w") as file:
                file.write("[Service]\nExecStart=/bin/true\n")
        for text, complaint in ((unit, ""), (unit.replace("KillSignal=SIGTERM", "KillSignal=SIGNONE"), "SIGNONE")):
            with open(self.path("ttd-deviced.service"), "w") as file:
                file.write(text.replace("/usr/sbin/ttd-deviced", DEVICED))
            done = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", self.path("ttd-deviced.service")], capture_output=True, text=True,
                env={**os.environ, "SYSTEMD_UNIT_PATH": self.folder + ":"}, timeout=60)
            lines = [line for line in done.stderr.splitlines() if "ttd-deviced.service" in line]
            self.assertEqual(bool(lines), bool(complaint), done.stderr)
            self.assertIn(complaint, done.stderr)


class ToolTests(DaemonTest):
    """tt-record and tt-replay with an xl that only notes what it is asked for."""

    CONFIGURATION = """# a guest
name = "guest"
type = "pvh"
kernel = "{folder}/kernel"
ramdisk = '{folder}/ramdisk'
memory = 96
vcpus = 1
extra = "console=hvc0"
tsc_mode = "always_emulate"
cpuid = "host,rdrand=0,rdseed=0"
ttd_flag = 1
"""

    def setUp(self):
        super().setUp()
        for name in ("kernel", "ramdisk"):
            self.write(name, name * 100)
        self.write("guest.cfg", self.CONFIGURATION.format(folder=self.folder))
        self.write("bin/xl", f"""#!/bin/sh
echo "$@" >>{self.folder}/xl.calls
""", 0o755)
        self.write("bin/ttd-deviced", f"""#!/bin/sh
exec {DEVICED} "$@" --lock {self.folder}/lock --rings {self.folder}/out,{self.folder}/in
""", 0o755)
        self.environment = {
            **os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "TTD_DEVICED": f"{self.folder}/bin/ttd-deviced"}

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def calls(self):
        with open(self.path("xl.calls")) as file:
            return file.read().splitlines()

    def tool(self, *arguments):
        process = subprocess.Popen(
            [f"{BIN}/{arguments[0]}", *arguments[1:]], env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def wait_for_call(self, word, process):
        while not (os.path.exists(self.path("xl.calls")) and any(call.startswith(word) for call in self.calls())):
            self.assertIsNone(process.poll(), process.poll() is None or process.communicate())
            time.sleep(0.01)

    def record_run(self, *options):
        out = Ring(self.path("out"), 4)
        tool = self.tool("tt-record", "--engine", "xen", "--config", self.path("guest.cfg"), *options, self.path("run"))
        self.wait_for_call("unpause", tool)
        records = list(guest.run(2000))
        for fields in records:
            out.put(fields)
        out.put(record(CONSOLE, clock=2000, payload=b"guest: end\r\n"))
        out.put(record(END, clock=2000, info=SHUTDOWN))
        return tool, records

    def replay_run(self, change=lambda fields: fields, *options):
        os.unlink(self.path("xl.calls"))
        out, into = Ring(self.path("out"), 4), Ring(self.path("in"), 4)
        tool = self.tool("tt-replay", *options, self.path("run"))
        self.wait_for_call("unpause", tool)
        while (fields := into.take()) is not None and fields["type"] != END:
            out.put(change(fields))
            if fields is None or change(fields)["type"] == DIVERGED:
                return tool
        out.put(record(END, clock=2000, info=COMPLETE))
        return tool

    def test_a_run_is_recorded_and_replayed(self):
        tool, _ = self.record_run()
        text = self.finish(tool, 0)
        self.assertIn("the guest shut down", text)
        self.assertIn("2000 exits", text)
        self.assertEqual(
            [call.split()[0] for call in self.calls()], ["create", "unpause", "destroy"], self.calls())
        self.assertIn("-p", self.calls()[0].split())
        text = self.finish(self.replay_run(), 0)
        self.assertIn("the replay reached its recording's end", text)
        status, text = self.analyze("diverge", self.path("run"), self.path("run/replays/1"))
        self.assertEqual(status, 0, text)
        with open(self.path("run/manifest.json")) as file:
            manifest = json.load(file)
        self.assertEqual(manifest["engine"]["name"], "xen")
        self.assertEqual(self.contents("run/serial.log"), b"guest: end\r\n")
        self.assertEqual({file["role"] for file in manifest["files"]}, {"configuration", "kernel", "initrd"})

    def test_a_guest_writes_to_a_copy_of_its_disk_and_a_replay_has_none(self):
        image = self.path("image")
        self.write("image", "contents" * 1000)
        self.write("guest.cfg", self.CONFIGURATION.format(folder=self.folder)
                   + f"disk = [ '{image},raw,xvda,rw', '{image},raw,xvdb,ro' ]\nvif = [ 'mac=00:16:3e:00:00:01' ]\n")
        self.write("bin/xl", f"""#!/bin/sh
echo "$@" >>{self.folder}/xl.calls
[ "$1" != create ] || [ ! -e {self.folder}/run/disk0.img ] || cp {self.folder}/run/disk0.img {self.folder}/seen
[ "$1" != unpause ] || [ ! -e {self.folder}/run/disk0.img ] || echo written >{self.folder}/run/disk0.img
""", 0o755)
        self.finish(self.record_run()[0], 0)
        self.assertIn(
            f'disk=["format=raw,vdev=xvda,access=rw,target={self.folder}/run/disk0.img",'
            f'"format=raw,vdev=xvdb,access=ro,target={image}"]', self.calls()[0])
        with open(image) as original, open(self.path("seen")) as copy:
            self.assertEqual(original.read(), copy.read())
        self.assertFalse(os.path.exists(self.path("run/disk0.img")))
        with open(self.path("run/manifest.json")) as file:
            manifest = json.load(file)
        with open(image, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        disks = {file["role"]: file["identity"]["sha256"] for file in manifest["files"] if "disk" in file["role"]}
        self.assertEqual(disks, {"logged disk xvda": digest, "logged disk xvdb": digest})
        os.unlink(image)
        self.finish(self.replay_run(), 0)
        self.assertIn("disk=[] vif=[]", self.calls()[0])

    def test_a_divergence_is_status_1(self):
        self.finish(self.record_run()[0], 0)

        def change(fields):
            if fields["type"] == EXIT and fields["clock"] == 1000:
                return record(DIVERGED, clock=1000, rip=fields["rip"], kind=fields["kind"], info=fields["info"], hash=1, mask=1)
            return fields

        text = self.finish(self.replay_run(change), 1)
        self.assertIn("replay diverged", text)
        status, text = self.analyze("diverge", self.path("run"), self.path("run/replays/1"))
        self.assertEqual(status, 1, text)
        self.assertIn("1000", text)

    def test_another_guest_is_refused(self):
        self.finish(self.record_run()[0], 0)
        for name, role in (("ramdisk", "initrd"), ("kernel", "kernel"), ("guest.cfg", "configuration")):
            before = self.contents(name)
            self.write(name, before.decode() + "# another\n")
            text = self.finish(self.tool("tt-replay", self.path("run")), 2)
            self.assertIn(role, text)
            with open(self.path(name), "wb") as file:
                file.write(before)
        self.finish(self.replay_run(), 0)

    def test_the_daemon_alone_refuses_another_guest(self):
        """tt-record passes the digests of the guest's files to the daemon; they are in the log before the guest runs."""
        out = Ring(self.path("out"), 4)
        tool = self.tool("tt-record", "--engine", "xen", "--config", self.path("guest.cfg"), self.path("run"))
        self.wait_for_call("unpause", tool)
        for fields in guest.run(10):
            out.put(fields)
        files = {"kernel": "kernel", "initrd": "ramdisk", "configuration": "guest.cfg"}
        digests = {f"guest.{role}.sha256": hashlib.sha256(self.contents(name)).hexdigest() for role, name in files.items()}
        self.assertLessEqual(digests.items(), self.info("run/ttd.log")["attributes"].items())
        out.put(record(END, clock=10, info=SHUTDOWN))
        self.finish(tool, 0)
        rings = f"{Ring(self.path('o'), 1).path},{Ring(self.path('i'), 1).path}"
        for key, digest in digests.items():
            arguments = [
                "-f", self.path("r.log"), "--replay", "8", "--recording", self.path("run/ttd.log"), "--rings", rings]
            text = self.finish(self.start(*arguments, "--attribute", f"{key}={digest[::-1]}"), 2)
            self.assertIn(f"a log of another guest: its {key} is {digest}", text)
            self.assertFalse(os.path.exists(self.path("r.log")))

    def test_a_replay_is_hung_only_if_no_log_grows(self):
        """The branches of a window count as progress, though no chunk of a log is complete for a long time."""
        self.finish(self.record_run()[0], 0)
        os.unlink(self.path("xl.calls"))
        out = Ring(self.path("out"), 4)
        Ring(self.path("in"), 4)
        tool = self.tool("tt-replay", "--hang-timeout", "1", "--daemon-option=--branches=0..60", self.path("run"))
        self.wait_for_call("unpause", tool)
        size = os.path.getsize(self.path("run/replays/1/ttd.log"))
        for number in range(15):
            branch = struct.pack("<QQQB15s", 0x1000, 0x1000, number + 1, 2, b"\xeb\xfe")
            out.put(record(BRANCHES, clock=0, payload=branch))
            time.sleep(0.2)
            self.assertIsNone(tool.poll())
        self.assertFalse(os.path.exists(out.path + ".stop"))
        self.assertEqual(os.path.getsize(self.path("run/replays/1/ttd.log")), size)
        # Now nothing comes any more.
        while not os.path.exists(out.path + ".stop"):
            self.assertIsNone(tool.poll())
            time.sleep(0.05)
        out.put(record(END, clock=0, info=STOPPED))
        self.assertIn("made no progress", self.finish(tool, 1))

    def test_guests_that_cannot_be_recorded_are_refused(self):
        for old, new, word in (
            ('type = "pvh"', 'type = "hvm"', "PVH"), ("vcpus = 1", "vcpus = 2", "one vCPU"),
            ("always_emulate", "native", "time stamp counter"), (",rdrand=0", "", "random numbers"),
            ("ttd_flag = 1", "ttd_flag = 0", "no recording"), ("memory = 96", "disk = ['/a.qcow2,qcow2,xvda,rw']", "raw"),
            ("memory = 96", "memory", "line 6"), ("ttd_flag = 1", "tt_replay_flag = 1", "asks for a replay"),
        ):
            self.write("guest.cfg", self.CONFIGURATION.format(folder=self.folder).replace(old, new))
            text = self.finish(
                self.tool("tt-record", "--engine", "xen", "--config", self.path("guest.cfg"), self.path("run")), 2)
            self.assertIn(word, text)
            self.assertFalse(os.path.exists(self.path("xl.calls")))

    def test_a_stranger_s_configuration_runs_no_program(self):
        self.finish(self.record_run()[0], 0)
        text = self.CONFIGURATION.format(folder=self.folder) + 'device_model_override = "/bin/evil"\n'
        self.write("guest.cfg", text)
        shutil.rmtree(self.path("run"))
        self.finish(self.record_run()[0], 0)
        text = self.finish(self.tool("tt-replay", self.path("run")), 2)
        self.assertIn("device_model_override", text)


if __name__ == "__main__":
    unittest.main()
