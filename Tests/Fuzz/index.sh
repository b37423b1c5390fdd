#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of indexes and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/index.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/index-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p index-corpus index-seeds

# Seeds: no change; a page's header; a cell; a text of the schema.
if [ ! -e index-seeds/schema ]; then
    printf '\001' >index-seeds/none
    printf '\012\000\000\000\210\015\377\377\377\377\377\377\377' >index-seeds/header
    printf '\001\360\077\000\204\377\177\000\001' >index-seeds/cell
    printf '\003\000\040\000\004DROP' >index-seeds/schema
fi

one_module index-sources Formatting LogFormat CallTree Symbolize TraceIndex
tests=$root/Tests/LogFormatTests
without_rooms "$tests/SampleLog.swift" "$tests/Numbers.swift" >index-sources/Shared.swift
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name IndexFuzz index-sources/*.swift "$root/Tests/Fuzz/FuzzFile.swift" \
    "$root/Tests/Fuzz/IndexFuzz.swift" "$work"/objects/*.o $libraries -lsqlite3 -o "$work/index-fuzz"

exec "$work/index-fuzz" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=400 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/index-corpus" "$work/index-seeds"
