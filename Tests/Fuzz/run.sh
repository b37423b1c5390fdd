#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the reader's fuzz harness and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/run.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p corpus seeds

one_module reader-sources Formatting LogFormat
tests=$root/Tests/LogFormatTests
without_rooms "$tests/LogImage.swift" "$tests/SampleLog.swift" "$tests/Numbers.swift" >reader-sources/Shared.swift

if [ ! -e "$work/seeds/done" ]; then
    # shellcheck disable=SC2086
    swiftc $swift_flags -module-name Seeds reader-sources/*.swift "$root/Tests/Fuzz/seed.swift" "$work"/objects/*.o \
        $libraries -o "$work/seed"
    "$work/seed" "$work/seeds"
    touch "$work/seeds/done"
fi
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name LogReaderFuzz reader-sources/*.swift \
    "$root/Tests/Fuzz/LogReaderFuzz.swift" "$work"/objects/*.o $libraries -o "$work/fuzz"

exec "$work/fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=200000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/corpus" "$work/seeds"
