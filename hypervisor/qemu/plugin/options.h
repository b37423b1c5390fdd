/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options.h - the arguments of `-plugin libttd.so,KEY=VALUE,...`.
 *
 *     log=PATH                   the log to write (needed)
 *     mode=branches|digest|events   what is kept: everything; digests of the branches; no branches (branches)
 *     codec=zstd|raw  level=N    compression of sealed chunks (zstd, 1)
 *     run=recording|replay|plain    what kind of run this is (unknown)
 *     uuid=HEX32                 the recording's; a replay repeats it (unknown)
 *     name=TEXT                  what the header calls the recorder
 *     clock_base=N icount_base=N    counters to begin with: a run that starts from a checkpoint (0)
 *     access=on|off              rdtsc, port, cpuid, msr and rdrand sites in the access stream (on)
 *     mmio=on|off                MMIO in the access stream: half as slow again (off)
 *     values=on|off              the values that accesses (and with mmio=on MMIO) read and write (on, where API 4 shows
 *                                registers)
 *     context=on|off             switches of the address space and of the stack as events (on, where API 4 shows registers)
 *     causes=on|off              interrupts and exceptions as events (on, where API 4 shows registers and memory)
 *     state=on|off               register digests at the end of every branch cell (on, where API 4 shows registers)
 *     kept=N                     mode digest: so many last branch bodies stay (8)
 *     window=FROM:TO             mode digest: branch bodies between these clocks stay
 *     sync=SECONDS               force the log to the disk this often (0: leave it to the kernel)
 *     oracle=PATH                tests: a page to count committed records in, {u64 branches, u64 events and accesses}
 *     check=on|off               tests: compute every transition a second time from single instructions, and compare;
 *                                where blocks are shared between addresses (API 4), each block's address with rip too
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
    bool access;
    bool mmio;
    bool values;
    bool context;
    bool causes;
    bool state;
    bool check;
    bool correct;
    ttlog_options writer; /* features, recorder and machine are set by the plugin */
};

/* Reads the arguments; the strings stay the caller's (QEMU's) and are modified. Returns false, with a sentence in
 * `message`, at the first that is unknown or malformed. */
bool ttd_options_parse(int argc, char **argv, struct ttd_options *options, char *message, size_t size);

#endif
