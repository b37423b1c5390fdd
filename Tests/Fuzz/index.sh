#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of index files and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/index.sh [SECONDS] [WORKDIR]
#
# The seed is the index of Fixtures/tiny/recording.log, made by .build/release/tt-analyze (make build). The corpus and the
# findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input of the finding; run
# WORKDIR/index-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p index-corpus index-seeds

cp "$root/Fixtures/tiny/recording.log" "$work/index.log"
export FUZZ_LOG="$work/index.log"
rm -f index-seeds/*
"$root/.build/release/tt-analyze" index --calls -o "$work/index-seeds/whole.ttidx" "$FUZZ_LOG" >/dev/null 2>&1

one_module index-sources Formatting LogFormat MachineCode Symbolize CallTree TraceIndex
sed -i -E '/^import (CallTree|TraceIndex)$/d' index-sources/*.swift
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name IndexFuzz -I "$root/Sources/CSQLite" index-sources/*.swift \
    "$root/Tests/Fuzz/IndexFuzz.swift" "$work"/objects/*.o $libraries -lsqlite3 -o "$work/index-fuzz"

exec "$work/index-fuzz" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=4000000 -print_final_stats=1 -artifact_prefix="$work/" "$work/index-corpus" "$work/index-seeds"
