#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of ttd-deviced's log reader and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/daemonlog.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/daemonlog-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p daemonlog-corpus daemonlog-seeds
daemon=$root/hypervisor/xen/ttd-deviced
include="-I $root/Sources/CTTLog/include -I $root/hypervisor/xen/include -I $daemon"

# shellcheck disable=SC2086
clang -std=c11 -O1 -g -fsanitize=address $include "$root/Tests/Fuzz/daemonlog_seed.c" "$work"/objects/ttlog_*.o \
    -lzstd -lpthread -o "$work/daemonlog-seed"
for codec in raw zstd; do
    for end in closed killed; do
        seed=daemonlog-seeds/$codec-$end
        [ ! -e "$seed" ] || continue
        "$work/daemonlog-seed" "$work/seed.log" "$codec" "$end"
        python3 - "$work/seed.log" "$seed" <<'END'
# An open file's slots get room for a few more units than are in use: the writer's are megabytes of zeros.
import os, struct, sys
log = open(sys.argv[1], "rb").read()
name = sys.argv[1] + ".open"
left = open(name, "rb").read() if os.path.exists(name) else b""
if left:
    slots = struct.unpack_from("<I", left, 24)[0]
    small = bytearray(left[:4096 + 64 * slots])
    for place in range(4096, 4096 + 64 * slots, 64):
        offset, _, unit = struct.unpack_from("<QII", left, place)
        capacity = struct.unpack_from("<I", left, offset)[0] + 4
        struct.pack_into("<QI", small, place, len(small), capacity)
        small += left[offset:offset + 128 + capacity * unit]
    left = bytes(small)
open(sys.argv[2], "wb").write(struct.pack("<I", len(log)) + log + left)
END
        rm -f "$work/seed.log" "$work/seed.log.open"
    done
done

# shellcheck disable=SC2086
clang -std=c11 -O1 -g -Wall -Wextra -Werror -Wno-gnu-variable-sized-type-not-at-end \
    -fsanitize=address,fuzzer $include "$root/Tests/Fuzz/DaemonLogFuzz.c" \
    "$daemon/feeder.c" "$daemon/ring.c" "$daemon/log_reader.c" "$daemon/log_chunks.c" "$daemon/event_columns.c" \
    "$daemon/recover.c" "$daemon/failure.c" "$work"/objects/ttlog_*.o -lzstd -lpthread -o "$work/daemonlog-fuzz"

exec "$work/daemonlog-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=200000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/daemonlog-corpus" "$work/daemonlog-seeds"
