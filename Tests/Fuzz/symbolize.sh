#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of the symbol readers (libdw included) and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/symbolize.sh [SECONDS] [WORKDIR] [KIND]
#
# KIND: files, tables, sections (of DWARF), texts, modules, lists, names (to demangle), minidebuginfo or compressed (sections)
# alone; default: all of them.
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/symbolize-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p symbolize-corpus symbolize-seeds

# Seeds: a small program in each version of DWARF, its sections, a text of symbols; the program as a kernel module, a list of
# modules.
cat >small.c <<'END'
static inline __attribute__((always_inline)) int inner(int x) { return x * 3 + 1; }
__attribute__((noinline)) int outer(int x) { int s = 0; while (x--) s += inner(x) ^ inner(s); return s; }
int main(int argc, char **argv) { (void)argv; return outer(argc); }
END
for version in 2 3 4 5; do
    for options in "-O2" "-O2 -gz=zlib -no-pie -fno-pie"; do
        name=symbolize-seeds/$version-$(echo "$options" | tr -dc 'a-zO0-9')
        if [ ! -e "$name" ]; then
            # shellcheck disable=SC2086
            gcc -g -gdwarf-$version $options -nostdlib -Wl,-e,main -o small small.c
            { printf '\000'; cat small; } >"$name"
        fi
    done
done
if [ ! -e symbolize-seeds/sections7-5 ]; then
    for version in 2 4 5; do
        gcc -g -gdwarf-$version -O2 -no-pie -fno-pie -nostdlib -Wl,-e,main,-Ttext=0x1000 -o small small.c
        python3 - small symbolize-seeds/sections7-$version <<'END'
import struct, subprocess, sys
parts = []
for name in ["abbrev", "line", "str", "line_str", "rnglists", "aranges", "info"]:
    subprocess.run(["objcopy", "--dump-section", f".debug_{name}=part", sys.argv[1], "/dev/null"], stderr=subprocess.DEVNULL)
    try:
        parts.append(open("part", "rb").read())
    except FileNotFoundError:
        parts.append(b"")
    subprocess.run(["rm", "-f", "part"])
with open(sys.argv[2], "wb") as out:
    out.write(b"\2" + b"".join(struct.pack("<I", len(part)) for part in parts[:-1]) + b"".join(parts))
END
    done
    nm small | sort >small.map
    { printf '\000'; cat small.map; } >symbolize-seeds/map
    { printf '\003'; sed 's/$/\t[module]/' small.map; } >symbolize-seeds/kallsyms
fi

for version in 4 5; do
    name=symbolize-seeds/module-$version
    if [ ! -e "$name" ]; then
        { cat small.c && echo '__attribute__((section(".gnu.linkonce.this_module"))) char this_module[64];'; } >module.c
        gcc -g -gdwarf-$version -O2 -c -mcmodel=kernel -fno-pie -o module.o module.c
        { printf '\004' && cat module.o; } >"$name"
    fi
done
{
    printf '\005a_module 28672 0 - Live 0xffffffffc0593000 (E)\n'
    printf '/sys/module/b/sections/.text:0xffffffffc0593000\n'
} >symbolize-seeds/list

i=0
for name in _ZN5outer4overEPKc _RINvNtC3std3mem8align_ofdE '$s4main5ShapeV4areaSdvg' _D3std5stdio__T7writelnTAyaZQnFNfQjZv \
    _ZN4core3fmt5Write9write_fmt17h0123456789abcdefE _ZNSt6vectorIiSaIiEE9push_backEOi; do
    i=$((i + 1))
    printf '\006%s' "$name" >symbolize-seeds/name-$i
done
{ printf '\007'; cat small; } >symbolize-seeds/minidebuginfo
python3 - symbolize-seeds/sections7-5 symbolize-seeds/compressed <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()[1:]
sizes = struct.unpack("<6I", data[:24])
parts, at = [], 24
for size in sizes:
    parts.append(b"\0" + data[at:at + size])
    at += size
parts.append(b"\0" + data[at:])
with open(sys.argv[2], "wb") as out:
    out.write(b"\10" + b"".join(struct.pack("<I", len(part)) for part in parts[:-1]) + b"".join(parts))
END

one_module symbolize-sources Formatting Symbolize
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name SymbolizeFuzz symbolize-sources/*.swift \
    "$root/Tests/Fuzz/SymbolizeFuzz.swift" "$work"/objects/*.o $libraries -o "$work/symbolize-fuzz"

# A seed for tables: the table of the last program.
rm -rf table
TT_FUZZ_TABLE_OF=$work/small ASAN_OPTIONS=detect_leaks=0 "$work/symbolize-fuzz"
{ printf '\001'; cat table/*.ttsym; } >symbolize-seeds/table

corpus=symbolize-corpus
case ${3:-} in
    "") ;;
    files) export TT_FUZZ_KIND=0 ;;
    tables) export TT_FUZZ_KIND=1 ;;
    sections) export TT_FUZZ_KIND=2 ;;
    texts) export TT_FUZZ_KIND=3 ;;
    modules) export TT_FUZZ_KIND=4 ;;
    lists) export TT_FUZZ_KIND=5 ;;
    names) export TT_FUZZ_KIND=6 ;;
    minidebuginfo) export TT_FUZZ_KIND=7 ;;
    compressed) export TT_FUZZ_KIND=8 ;;
    *)
        echo "symbolize.sh: $3: expected files, tables, sections, texts, modules, lists, names, minidebuginfo or compressed" >&2
        exit 2
        ;;
esac
if [ -n "${3:-}" ]; then
    corpus=symbolize-corpus-$3
    mkdir -p "$corpus"
fi
exec "$work/symbolize-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=100000 -print_final_stats=1 -artifact_prefix="$work/" "$work/$corpus" "$work/symbolize-seeds"
