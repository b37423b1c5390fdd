#!/bin/sh
# Builds the fuzz harness of the symbol readers (libdw included) and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/symbolize.sh [SECONDS] [WORKDIR]
#
# The corpus and what was found stay in WORKDIR (.build-fuzz). Exit status 0: nothing found; else a finding, whose input
# libFuzzer names; run WORKDIR/symbolize-fuzz FILE to see it again.
. "$(dirname "$0")/common.sh"
mkdir -p symbolize-corpus symbolize-seeds

# Seeds: a small program in each version of DWARF, and the table that is made of it.
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

sources=$(find "$root/Sources/Symbolize" -name '*.swift')
# shellcheck disable=SC2086
swiftc -swift-version 6 -O -g -wmo -parse-as-library -use-ld=lld -sanitize=address,fuzzer -module-name SymbolizeFuzz \
    -I "$root/Sources/CTTLog/include" -I "$root/Sources/CZlib" -I "$root/Sources/CElfutils" \
    -I "$root/Sources/CCapstone" -module-cache-path "$work/modules" $sources "$root/Tests/Fuzz/SymbolizeFuzz.swift" \
    "$work"/objects/*.o -lzstd -lz -ldw -lelf -lcapstone -lpthread -o "$work/symbolize-fuzz"

exec "$work/symbolize-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=100000 -print_final_stats=1 -artifact_prefix="$work/" "$work/symbolize-corpus" "$work/symbolize-seeds"
