/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * wake.h - `await=FILE`: the recorder sleeps until a tool wakes it, so that a run is logged from any place on.
 *
 * While it sleeps, translated blocks get no callbacks, and the guest runs at full speed. The tool creates the file, which
 * has the layout below. It fills in the state of the stopped guest and sets `awake`; then it makes QEMU translate anew.
 * The first values of the counters are the arguments clock_base and icount_base.
 */
#ifndef TTD_WAKE_H
#define TTD_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#define TTD_WAKE_MAGIC 0x31656b6177647474ull /* "ttdwake1" */

struct ttd_wake_page {
    uint64_t magic;         /* set by the tool before QEMU starts */
    uint64_t awake;         /* set by the tool, last, while the guest is stopped */
    uint64_t table_base;    /* of the interrupt descriptor table; 0: not in 64-bit mode */
    uint64_t table_limit;   /* its last byte */
    uint64_t address_space; /* cr3 */
};

/* Maps the file. Returns false if that fails, or if it is none. */
bool ttd_wake_open(const char *path);

/* Whether the recorder sleeps. The first call after the tool has woken it takes over the guest's state. */
bool ttd_wake_sleeps(void);

#endif
