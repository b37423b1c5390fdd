#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of the reader of bundles and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/bundle.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/bundle-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p bundle-corpus bundle-seeds

# Seeds: an archive with two members (the harness compresses it), and a compressed one.
if [ ! -e bundle-seeds/archive ]; then
    python3 - <<'END'
import hashlib, json, subprocess
def header(name, size):
    h = bytearray(512)
    def put(at, text): h[at:at + len(text)] = text
    put(0, name.encode()); put(100, b"0000644"); put(108, b"0000000"); put(116, b"0000000")
    put(124, b"%011o" % size); put(136, b"%011o" % 0); put(156, b"0"); put(257, b"ustar\0" + b"00"); put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(h))
    return bytes(h)
def entry(name, content): return header(name, len(content)) + content + bytes(-len(content) % 512)
members = [("original/ttd.log", b"a log"), ("symbols/0-vmlinux.elf", b"ELF")]
run = {"directory": "", "from": "0", "to": "9", "isWhole": False, "recorder": "r", "symbols":
       [{"member": "symbols/0-vmlinux.elf", "slide": "-4096", "from": "1", "to": "2"}]}
manifest = {"schema": "tt-analyze bundle", "version": 1, "tool": "t", "verdict": "payload", "summary": "s", "isRedacted": False,
            "original": dict(run, directory="original"), "replay": run, "symbolFiles": [], "sources": [], "missing": [], "warnings": [],
            "members": [{"name": n, "size": str(len(c)), "sha256": hashlib.sha256(c).hexdigest()} for n, c in members]}
archive = entry("bundle.json", json.dumps(manifest).encode()) + b"".join(entry(n, c) for n, c in members) + bytes(1024)
open("bundle-seeds/archive", "wb").write(b"\0" + archive)
open("bundle-seeds/frame", "wb").write(b"\1" + subprocess.run(["zstd", "-c"], input=archive, stdout=subprocess.PIPE, check=True).stdout)
END
fi

one_module bundle-sources Formatting LogFormat RunDirectory BugBundle/Container
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name BundleFuzz bundle-sources/*.swift "$root/Tests/Fuzz/BundleFuzz.swift" \
    "$work"/objects/*.o $libraries -lnettle -o "$work/bundle-fuzz"

exec "$work/bundle-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=20000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/bundle-corpus" "$work/bundle-seeds"
