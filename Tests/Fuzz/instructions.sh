#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of code images, disassembly and stretches, and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/instructions.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/instructions-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p instructions-corpus instructions-seeds

# Seeds: a small program as a file, and code of a real program with stretches through it.
if [ ! -e instructions-seeds/code ]; then
    # The tables of a kernel that patches itself.
    printf '%s\n' '.globl _start,__start___jump_table,__stop___jump_table' '.text' '_start: call a' 'a: jmp b' 'b: ret' \
        '.section .altinstructions,"a"' '.long a-.,0' '.word 0' '.byte 2,2' '.section .return_sites,"a"' '.long b-.' \
        '.section .parainstructions,"a"' '.quad _start' '.byte 1,5' '.skip 6' '.data' '__start___jump_table:' \
        '.long a-.,b-.' '.quad 0' '__stop___jump_table:' >tables.S
    gcc -nostdlib -static -no-pie -Wl,--build-id=none -o tables tables.S
    { printf '\000'; cat tables; } >instructions-seeds/tables
    printf 'int main(int c, char **v) { int s = 0; while (c--) s += v[c][0] ^ s; return s; }' >tiny-seed.c
    gcc -O2 -nostdlib -Wl,-e,main -o tiny-seed tiny-seed.c
    { printf '\000'; cat tiny-seed; } >instructions-seeds/file
    strip -o tiny-stripped tiny-seed
    { printf '\000'; cat tiny-stripped; } >instructions-seeds/stripped
    objcopy -O binary --only-section=.text /bin/true true.text
    { printf '\001'; head -c 2048 true.text; head -c 2048 /dev/urandom; } >instructions-seeds/code
fi

one_module instructions-sources Formatting LogFormat Symbolize MachineCode BranchAnalysis/Instructions
without_rooms "$root/Tests/Fuzz/InstructionsFuzz.swift" >instructions-sources/InstructionsFuzz.swift
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name InstructionsFuzz instructions-sources/*.swift "$work"/objects/*.o \
    $libraries -o "$work/instructions-fuzz"

exec "$work/instructions-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$work/" "$work/instructions-corpus" "$work/instructions-seeds"
