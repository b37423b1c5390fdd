/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * decode.h - the control transfer and the accesses of an x86 instruction, from its bytes alone.
 * Pure: no QEMU, no state.
 */
#ifndef TTD_DECODE_H
#define TTD_DECODE_H

#include <stdint.h>

#define TTD_INSTRUCTION_MAX 15

struct ttd_instruction {
    uint8_t branch_class;      /* enum ttlog_branch_class */
    uint8_t has_static_target; /* `target` is in the instruction's bytes */
    uint8_t reads_target;      /* a near branch that reads its target from memory: ret, jmp and call through memory */
    uint8_t cannot_fault;      /* certain: it uses general registers only, and ends neither block nor run */
    uint8_t access_bytes;      /* of a port access; 0: it depends on the code segment */
    uint16_t access_kind;      /* enum ttlog_event_kind of an access, or 0 */
    uint16_t access_flags;     /* TTLOG_ACCESS_STRING; for rdtsc: 1 = rdtscp */
    uint8_t access_register;   /* rdrand: number of the target register, as x86 numbers them */
    uint8_t register_bytes;    /* and the bytes of it that are written */
    uint8_t loads_table;       /* lidt */
    uint8_t loads_address_space; /* mov to cr3 */
    uint8_t switches_stack;    /* loads rsp from memory, a constant or another register than rbp */
    uint8_t repeats_store;     /* a repeated string instruction that stores: its memory accesses for each iteration */
    uint8_t has_port;          /* `port` is in the instruction's bytes */
    uint8_t port;
    uint64_t target; /* as in 64-bit code; see ttd_target_explains */
};

/* Decodes the instruction of `size` bytes (its exact length) at `address`. */
void ttd_decode(const uint8_t *bytes, unsigned size, uint64_t address, struct ttd_instruction *out);

/* Whether a branch with this static target can go to `to`. Its bytes do not show the width of the instruction pointer:
 * 16-bit code wraps inside 64 KiB (`to` is then below 1 MiB + 64 KiB, segment base included), 32-bit code inside 4 GiB. */
static inline int ttd_target_explains(uint64_t target, uint64_t to) {
    if (to == target) {
        return 1;
    }
    if (to < 0x110000 && ((to ^ target) & 0xffff) == 0) {
        return 1;
    }
    return to <= 0xffffffff && (uint32_t)target == to;
}

#endif
