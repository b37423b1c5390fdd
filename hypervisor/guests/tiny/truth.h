/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * truth.h - see truth.c. For C and for assembly.
 */
#ifndef TINY_TRUTH_H
#define TINY_TRUTH_H

#define TRUTH_ENTER 0
#define TRUTH_EXIT 1
#define TRUTH_INTERRUPT 2 /* the vector is in bits 8 and up */
#define TRUTH_INTERRUPT_RETURN 3
#define TRUTH_SYSCALL 4
#define TRUTH_SYSCALL_RETURN 5

#ifndef __ASSEMBLER__
#include <stdint.h>

struct truth_record {
    uint64_t kind;
    uint64_t address;
};
#elif defined(TRUTH)
    /* note kind, address, free registers: writes a record. kind and address are operands. */
    .macro note kind, address, place, spare
    movq \kind, \spare
    movq $1, \place
    xaddq \place, truth_count
    shlq $4, \place
    movq \spare, truth_records(\place)
    movq \address, \spare
    movq \spare, truth_records + 8(\place)
    .endm
#endif

#endif
