#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of raw BTS files and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/rawbts.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/rawbts-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p rawbts-corpus rawbts-seeds

# Seeds: kernel addresses in both forms; counters that advance, repeat and go back.
if [ ! -e rawbts-seeds/extended ]; then
    python3 - <<'END'
import struct
def records(counters):
    return b"".join(struct.pack("<3Q", 0xffffffff81000000 + 64 * n, 0x401000 + n, counter) for n, counter in enumerate(counters))
open("rawbts-seeds/plain", "wb").write(b"\0" + records([0, 16, 0, 16] * 8))
open("rawbts-seeds/cut", "wb").write(b"\0" + records([0] * 9)[:-5])
open("rawbts-seeds/extended", "wb").write(b"\1" + records([7, 8, 9, 9, 9, 12, 13, 3, 4, 4, 2**64 - 2, 2**64 - 1, 2**64 - 1, 0, 1]))
open("rawbts-seeds/any", "wb").write(b"\2" + bytes(range(256)) * 3)
END
fi

one_module rawbts-sources Formatting LogFormat
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name RawBTSFuzz rawbts-sources/*.swift "$root/Tests/Fuzz/FuzzFile.swift" "$root/Tests/Fuzz/RawBTSFuzz.swift" \
    "$work"/objects/*.o $libraries -o "$work/rawbts-fuzz"

exec "$work/rawbts-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=20000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/rawbts-corpus" "$work/rawbts-seeds"
