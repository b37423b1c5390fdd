#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz harness of the readers of a Linux guest's memory and runs it for some seconds (60 by default).
#
#   Tests/Fuzz/guestmemory.sh [SECONDS] [WORKDIR]
#
# The corpus and the findings stay in WORKDIR (.build-fuzz). Exit status 0: no finding; otherwise libFuzzer names the input
# of the finding; run WORKDIR/guestmemory-fuzz FILE to reproduce it.
. "$(dirname "$0")/common.sh"
mkdir -p guestmemory-corpus guestmemory-seeds

# The kernel's file, and the memory of its guest: the kernel at physical address 0, page tables at 0x10000, the kernel's
# description of itself at 0x14000.
gcc -g -O0 -mcmodel=kernel -fno-pic -fno-stack-protector -nostdlib -static -Wl,-e,0 -Wl,--build-id=none \
    -Wl,-Ttext=0xffffffff81000000 -Wl,-Tdata=0xffffffff81000000 -Wl,-Tbss=0xffffffff8100c000 \
    "$root/Tests/Fuzz/guestmemory_kernel.c" -o guestmemory-kernel
python3 - <<'END'
import struct, subprocess
base = 0xffffffff81000000
symbols = {n: int(a, 16) for a, _, n in map(str.split, subprocess.run(
    ["nm", "guestmemory-kernel"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines())}
subprocess.run(["objcopy", "-O", "binary", "-j", ".data", "guestmemory-kernel", "guestmemory-data"], check=True)
data = open("guestmemory-data", "rb").read()
memory = bytearray(0x15000)
assert len(data) <= 0xc000
memory[:len(data)] = data
def entry(table, index, value): struct.pack_into("<Q", memory, table + 8 * index, value)
entry(0x10000, base >> 39 & 511, 0x11003)
entry(0x11000, base >> 30 & 511, 0x12003)
entry(0x12000, base >> 21 & 511, 0x83)
def number(expression):
    text = subprocess.run(["gdb", "-batch", "-ex", f"print (unsigned long)({expression})", "guestmemory-kernel"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(text.split("=")[1])
lines = ["OSRELEASE=6.1.0", "PAGESIZE=4096", f"SYMBOL(prb)={symbols['prb']:x}", "OFFSET(atomic_long_t.counter)=0"]
lines += [f"SIZE({name})={number(f'sizeof(struct {name})')}" for name in ("prb_desc", "printk_info")]
lines += [f"OFFSET({name}.{member})={number(f'&((struct {name} *)0)->{member}')}" for name, member in (
    ("printk_ringbuffer", "desc_ring"), ("printk_ringbuffer", "text_data_ring"), ("prb_desc_ring", "count_bits"),
    ("prb_desc_ring", "descs"), ("prb_desc_ring", "infos"), ("prb_desc_ring", "head_id"), ("prb_desc_ring", "tail_id"),
    ("prb_data_ring", "size_bits"), ("prb_data_ring", "data"), ("prb_desc", "state_var"),
    ("prb_desc", "text_blk_lpos"), ("prb_data_blk_lpos", "begin"), ("prb_data_blk_lpos", "next"),
    ("printk_info", "seq"), ("printk_info", "ts_nsec"), ("printk_info", "text_len"))]
text = "\n".join(lines).encode() + b"\n"
memory[0x14000:0x14000 + len(text)] = text
open("guestmemory-image", "wb").write(memory)
# Seeds: no change, and a changed word at each pointer that is followed.
open("guestmemory-seeds/none", "wb").write(b"")
for name in ("init_task", "second", "first_signal", "modules", "loaded", "ring", "prb", "records", "infos"):
    place = symbols[name] - base
    open(f"guestmemory-seeds/{name}", "wb").write(struct.pack("<HBQ", place // 4, 8, base + 0x100))
END

one_module guestmemory-sources Formatting LogFormat Symbolize RunDirectory
(
    cd "$root/Sources"
    # Two types without the rest of their files.
    printf 'import Glibc\n' && sed -n '/^public struct PlaceError/,/^}/p' ReplaySession/Places/Place.swift
    echo 'package enum ZoomResult {' && sed -n '/^    public struct Task:/,/^    }/p' Zoom/ZoomResult.swift && echo '}'
    without_rooms ReplaySession/QEMU/Zoom/GuestMemory.swift ReplaySession/QEMU/Zoom/PageTables.swift \
        ReplaySession/QEMU/Zoom/GuestRegisters.swift Zoom/TaskReader.swift TravelSupport/Linux/LinuxGuest.swift \
        TravelSupport/Linux/KernelMessages.swift TravelSupport/Linux/KernelDescription.swift
) | sed -E '/^import (ReplaySession|Zoom)$/d' >guestmemory-sources/Guest.swift
# shellcheck disable=SC2086
swiftc $swift_flags -sanitize=fuzzer -module-name GuestMemoryFuzz guestmemory-sources/*.swift \
    "$root/Tests/Fuzz/FuzzFile.swift" "$root/Tests/Fuzz/GuestMemoryFuzz.swift" "$work"/objects/*.o $libraries -lnettle \
    -o "$work/guestmemory-fuzz"

exec "$work/guestmemory-fuzz" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=400 -print_final_stats=1 -artifact_prefix="$work/" "$work/guestmemory-corpus" "$work/guestmemory-seeds"
