/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options.h - the arguments of `-plugin libttd.so,KEY=VALUE,...`.
 *
 *     log=PATH                   the log to write (required)
 *     mode=branches|digest|events   what the log keeps: everything; digests of the branches; no branches (branches)
 *     codec=zstd|raw  level=N    compression of sealed chunks (zstd, 1)
 *     run=recording|replay|plain    the kind of run (unknown)
 *     uuid=HEX32                 of the recording; a replay repeats it (unknown)
 *     name=TEXT                  the recorder's name in the header
 *     clock_base=N icount_base=N    first values of the counters, for a run that starts from a checkpoint (0)
 *     await=PATH                 records begin when a tool says so in this file (wake.h)
 *     access=on|off              rdtsc, port, cpuid, msr and rdrand accesses in the access stream (on)
 *     mmio=on|off                MMIO in the access stream; the run takes half as long again (off)
 *     ram=on|off                 instructions' accesses to RAM in the access stream: for short windows (off)
 *     ramfile=PATH               the file that has the guest's RAM: with it, API 1 has values of these accesses
 *     values=on|off              the values that accesses, and with mmio=on MMIO, read and write (on if API 4 shows
 *                                registers)
 *     context=on|off             switches of the address space and of the stack as events (on if API 4 shows registers)
 *     causes=on|off              interrupts and exceptions as events (on if API 4 shows registers and memory)
 *     state=on|off               register digests at the end of every branch cell (on if API 4 shows registers)
 *     kept=N                     mode digest: the number of last branch bodies that stay (8)
 *     window=FROM:TO             mode digest: branch bodies between these clocks stay
 *     nested=on|marked|off       only what runs inside VMRUN: the guest of a hypervisor in the guest; turns access and mmio
 *                                off. marked: between two instructions of the guest's, see nested.h (off; API 1)
 *     sync=SECONDS               interval at which the log is forced to the disk (0: never)
 *     oracle=PATH                tests: a page that counts committed records, {u64 branches, u64 events and accesses}
 *     check=on|off               tests: compute every transition a second time from single instructions, and compare;
 *                                if blocks are shared between addresses (API 4), compare each block's address with rip
 *     correct=on|off             tests: off leaves the addresses of shared blocks as QEMU gives them (on)
 */
#ifndef TTD_OPTIONS_H
#define TTD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ttlog_writer.h"

struct ttd_options {
    const char *log;    /* NULL: none given */
    const char *oracle; /* NULL: none */
    const char *ramfile; /* NULL: none */
    const char *await;  /* NULL: the recorder is awake from the beginning */
    bool access;
    bool mmio;
    bool ram;
    bool values;
    bool context;
    bool causes;
    bool state;
    bool check;
    bool correct;
    bool nested;
    bool marked; /* nested, between marks only */
    ttlog_options writer; /* features, recorder and machine are set by the plugin */
};

/* Reads the arguments. The strings still belong to the caller (QEMU) and are modified meanwhile. At the first unknown or
 * malformed argument it returns false, with a sentence in `message`. */
bool ttd_options_parse(int argc, char **argv, struct ttd_options *options, char *message, size_t size);

#endif
