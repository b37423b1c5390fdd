/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * decode.h - what an x86 instruction does to the flow of control and to the world outside, by its bytes alone.
 * Pure: no QEMU, no state.
 */
#ifndef TTD_DECODE_H
#define TTD_DECODE_H

#include <stdint.h>

#define TTD_INSTRUCTION_MAX 15

struct ttd_instruction {
    uint8_t branch_class;      /* enum ttlog_branch_class */
    uint8_t has_static_target; /* `target` is in the instruction's bytes */
    uint8_t reads_target;      /* a near branch to an address that it reads from memory: ret, and jmp and call through it */
    uint8_t cannot_fault;      /* certain: works on general registers only, and ends neither block nor run */
    uint8_t access_bytes;      /* of a port access; 0 = not known from the bytes (depends on the code segment) */
    uint16_t access_kind;      /* enum ttlog_event_kind of an access, or 0 */
    uint16_t access_flags;     /* TTLOG_ACCESS_STRING; for rdtsc: 1 = rdtscp */
    uint8_t access_register;   /* rdrand: which register is the target, as x86 numbers them */
    uint8_t register_bytes;    /* and how much of it */
    uint8_t loads_table;       /* lidt */
    uint8_t loads_address_space; /* mov to cr3 */
    uint8_t switches_stack;    /* loads rsp from memory, a constant or another register than rbp */
    uint8_t has_port;          /* `port` is in the instruction's bytes */
    uint8_t port;
    uint64_t target; /* as 64-bit code would have it; see ttd_target_explains */
};

/* Decodes the instruction of `size` bytes (its exact length) at `address`. */
void ttd_decode(const uint8_t *bytes, unsigned size, uint64_t address, struct ttd_instruction *out);

/* Whether a branch with this static target can go to `to`. Its bytes do not tell the width of the instruction pointer:
 * 16-bit code wraps inside 64 KiB (and `to` is below 1 MiB + 64 KiB, segment base included), 32-bit code inside 4 GiB. */
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
