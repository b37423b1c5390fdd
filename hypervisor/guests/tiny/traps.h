/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * traps.h - exceptions, interrupts and system calls.
 */
#ifndef TINY_TRAPS_H
#define TINY_TRAPS_H

#include <stdint.h>

/* Pages between these addresses are mapped when they are first touched. */
#define DEMAND_FIRST 0x4000000ull
#define DEMAND_END 0x4200000ull
#define DEMAND_PAGES 32

struct trap_counts {
    uint64_t ticks;
    uint64_t keys;
    uint64_t page_faults;
    uint64_t invalid_opcodes;
    uint64_t software_interrupts;
    uint64_t system_calls;
};

extern volatile struct trap_counts trap_counts;

/* Installs the handlers, the timer at 1 kHz and the serial line's receive interrupt; interrupts stay off. */
void traps_start(void);

/* Runs `entry` in ring 3 until it leaves by int 0x80 with rax = 1. */
void run_in_user_mode(void (*entry)(void));

#endif
