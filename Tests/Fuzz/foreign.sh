#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of the importers of foreign formats and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/foreign.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/foreign-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p foreign-corpus foreign-seeds

# Seeds: a small file of each format.
if [ ! -e foreign-seeds/xentt ]; then
    python3 - <<'END'
import struct
def seed(name, content, options=0):
    open("foreign-seeds/" + name, "wb").write(bytes([options]) + (content.encode() if isinstance(content, str) else content))
head = "prog 7/7 [000] 1.5:  1 branches:uH:  "
seed("perf", "".join(head + line + "\n" for line in [
    "tr strt  0 [unknown] => 1000 f+0x0 (p)", "call  1000 f+0x0 (p) => 2000 g+0x0 (p)", "jcc  2000 => 2010", "tr end  return 2010 => 0",
]) + " instruction trace error type 1 time 1.5 cpu 0 pid 7 tid 7 ip 0x1009 code 7: Overflow packet\n")
seed("stack", "p 1 [000] 1.5: 1 cycles:u: 2002e8 x 0x2000fe(/t)/0x200290(/t)/P/-/-/5/COND  0x2002a2/0x2002e8/M/-/-/7/IND_CALL\n")
seed("csv", "vcpu,brctr,from,to,label,static,icount\n0,1,0x1000,0x2000,call,true,5\n1,0,1,2,ret,false,6\n"
     "vcpu,stream,brctr,icount,kind,info,ip,address,values,details\n0,event,5,9,interrupt,32,0x1000,,0x8000,\"a, b\"\n")
seed("jsonl", '{"schema":"bts-dump","version":1}\n{"vcpu":0,"brctr":"1","from":"0x1000","to":"0x2000","label":"call","static":true}\n'
     '{"kind":"cpuid","fields":{"leaf":7,"ebx":"2"}}\n{"kind":"attribute","key":"a","text":"b\\u00e9"}\n{"kind":"state","info":3,"values":["0x1","0x2"]}\n')
def word(event, *words, tsc=None):
    head = event | len(words) << 28 | (1 << 31 if tsc else 0)
    return struct.pack("<I", head) + (struct.pack("<Q", tsc) if tsc else b"") + struct.pack("<%dI" % len(words), *words)
def window(cpu, *records):
    return word(0x1f003, cpu, len(b"".join(records))) + b"".join(records)
seed("xentrace", window(0, word(0x2800a, 0x7fff, 0, 1, 0, tsc=9), word(0x201103, 1, 2, 0x8003, tsc=10), word(0x20100d, 5 << 20, 1, 2, 3))
     + window(1, word(0x21101, 1 | 2 << 16, tsc=8), word(0x81102, 10, 1, 2, tsc=11), word(0x8200e, 1, 2, 3, 4, 5), word(0x1f001, 5, 1, 2, 3)))
seed("replay", struct.pack(">IQ", 0xe0200c, 0) + bytes([0]) + struct.pack(">I", 5) + bytes([1, 2]))
def record(length, event, brctr, data, vcpu=0):
    return struct.pack("<IIIHHQQQ", length, event, 14, 5, vcpu, brctr, 0x1000, 7) + data.ljust(24, b"\0")
branches = b"".join(struct.pack("<3Q", n, n + 1, 0) for n in range(4))
seed("xentt", record(4, 1, 10, b"abcd") + record(96, 2, 11, branches[:24]) + branches[24:].ljust(128, b"\0") + record(0, 3, 12, b"", 1), 1)
END
fi

one_module foreign-sources Formatting LogFormat
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name ForeignFuzz foreign-sources/*.swift "$root/Tests/Fuzz/FuzzFile.swift" "$root/Tests/Fuzz/ForeignFuzz.swift" \
    "$work"/objects/*.o $libraries -o "$work/foreign-fuzz"

exec "$work/foreign-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=20000 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/foreign-corpus" "$work/foreign-seeds"
