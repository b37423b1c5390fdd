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

sources=$(find "$root/Sources/LogFormat" -name '*.swift')
flags="-swift-version 6 -O -g -wmo -parse-as-library -use-ld=lld -sanitize=address
    -I $root/Sources/CTTLog/include -module-cache-path $work/modules"
# The helpers shared with the tests import LogFormat, which is part of the same module here.
tests=$root/Tests/LogFormatTests
sed '/^import LogFormat$/d' "$tests/LogImage.swift" "$tests/SampleLog.swift" "$tests/Numbers.swift" >"$work/Shared.swift"

if [ ! -e "$work/seeds/done" ]; then
    # shellcheck disable=SC2086
    swiftc $flags -module-name Seeds $sources "$work/Shared.swift" "$root/Tests/Fuzz/seed.swift" \
        "$work"/objects/*.o -lzstd -lpthread -o "$work/seed"
    "$work/seed" "$work/seeds"
    touch "$work/seeds/done"
fi
# shellcheck disable=SC2086
swiftc $flags -sanitize=fuzzer -module-name LogReaderFuzz $sources "$work/Shared.swift" \
    "$root/Tests/Fuzz/LogReaderFuzz.swift" "$work"/objects/*.o -lzstd -lpthread -o "$work/fuzz"

exec "$work/fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=200000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/corpus" "$work/seeds"
