/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hypervisor makes of a processor's records of branches (hypervisor/xen/src/stack.h), from values of the registers
 * as the manuals describe them. No processor here has them. Ends with 0, or prints what differs.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../../hypervisor/xen/src/stack.h"

#define KERNEL 0xffffffff81000000ul

static int failures;
static struct ttd_stack_record raw[TTD_STACK_MAX];

static void expect(const char *name, uint64_t is, uint64_t wanted) {
    if (is == wanted)
        return;
    printf("%s: 0x%" PRIx64 ", wanted 0x%" PRIx64 "\n", name, is, wanted);
    failures++;
}

/* Decodes raw[], and compares with addresses that count from `first` up: from KERNEL + n, to KERNEL + 0x1000 + n. */
static void decode(const char *name, struct ttd_stack stack, uint64_t top, unsigned count, unsigned first,
                   enum ttd_stack_gap wanted) {
    struct ttd_stack_record out[TTD_STACK_MAX];
    enum ttd_stack_gap gap;
    expect(name, ttd_stack_decode(&stack, top, raw, out, &gap), count);
    expect(name, gap, wanted);
    for (unsigned i = 0; i < count; i++) {
        expect(name, out[i].from, KERNEL + first + i);
        expect(name, out[i].to, KERNEL + 0x1000 + first + i);
    }
}

static void put(unsigned place, unsigned number, uint64_t from_mask, uint64_t from_bits, uint64_t to_mask, uint64_t to_bits) {
    raw[place].from = ((KERNEL + number) & from_mask) | from_bits;
    raw[place].to = ((KERNEL + 0x1000 + number) & to_mask) | to_bits;
}

static void test_ring(void) {
    struct ttd_stack stack = {.kind = TTD_STACK_INTEL, .depth = 16, .format = TTD_FORMAT_INFO};
    memset(raw, 0, sizeof(raw));
    decode("nothing", stack, 5, 0, 0, TTD_STACK_COMPLETE);

    /* 15 branches that began at place 9 and went on at 0: the newest one is at 7. */
    for (unsigned i = 0; i < 15; i++)
        put((9 + i) % 16, i, ~0ul, 0, ~0ul, 0);
    decode("a ring that wraps", stack, 7, 15, 0, TTD_STACK_COMPLETE);

    /* The 16th may be the last one that fits, or have been written over others. */
    put(8, 15, ~0ul, 0, ~0ul, 0);
    decode("a full ring", stack, 8, 16, 0, TTD_STACK_GAP_BEFORE);
    put(9, 16, ~0ul, 0, ~0ul, 0);
    decode("a ring that was written over", stack, 9, 16, 1, TTD_STACK_GAP_BEFORE);

    /* A branch from or to address 0 is no clear record. */
    memset(raw, 0, sizeof(raw));
    put(3, 0, ~0ul, 0, ~0ul, 0);
    raw[4].to = 0x10;
    struct ttd_stack_record out[TTD_STACK_MAX];
    enum ttd_stack_gap gap;
    expect("address 0", ttd_stack_decode(&stack, 4, raw, out, &gap), 2);
    expect("address 0", out[1].to, 0x10);
}

static void test_formats(void) {
    const uint64_t mispredicted = 1ul << 63, transaction = 3ul << 61, cycles = 0x1234ul << 48;
    struct ttd_stack stack = {.kind = TTD_STACK_INTEL, .depth = 16};
    memset(raw, 0, sizeof(raw));

    stack.format = TTD_FORMAT_FLAGS;
    put(0, 0, ~mispredicted, 0, ~0ul, 0);
    put(1, 1, ~mispredicted, mispredicted, ~0ul, 0);
    decode("flags", stack, 1, 2, 0, TTD_STACK_COMPLETE);
    stack.format = TTD_FORMAT_FLAGS_TSX;
    put(0, 0, ~(7ul << 61), transaction, ~0ul, 0);
    put(1, 1, ~(7ul << 61), mispredicted, ~0ul, 0);
    decode("flags of transactions", stack, 1, 2, 0, TTD_STACK_COMPLETE);
    stack.format = TTD_FORMAT_TIME;
    put(0, 0, ~mispredicted, 0, ~(0xfffful << 48), cycles);
    put(1, 1, ~mispredicted, mispredicted, ~(0xfffful << 48), cycles);
    decode("time", stack, 1, 2, 0, TTD_STACK_COMPLETE);
    expect("formats", ttd_stack_knows(2), false);
    expect("formats", ttd_stack_knows(8), false);

    /* An address of user mode stays one. */
    stack.format = TTD_FORMAT_TIME;
    memset(raw, 0, sizeof(raw));
    raw[0] = (struct ttd_stack_record){0x401000 | mispredicted, 0x402000 | cycles};
    struct ttd_stack_record out[TTD_STACK_MAX];
    enum ttd_stack_gap gap;
    ttd_stack_decode(&stack, 0, raw, out, &gap);
    expect("user mode", out[0].from, 0x401000);
    expect("user mode", out[0].to, 0x402000);
}

static void test_newest_first(void) {
    struct ttd_stack stack = {.kind = TTD_STACK_INTEL_ARCHITECTURAL, .depth = 32};
    memset(raw, 0, sizeof(raw));
    for (unsigned i = 0; i < 31; i++)
        put(30 - i, i, ~0ul, 0, ~0ul, 0);
    decode("architectural", stack, 0, 31, 0, TTD_STACK_COMPLETE);
    put(31, 0, ~0ul, 0, ~0ul, 0);
    for (unsigned i = 0; i < 32; i++)
        put(31 - i, i, ~0ul, 0, ~0ul, 0);
    decode("architectural, full", stack, 0, 32, 0, TTD_STACK_GAP_BEFORE);
}

static void test_amd(void) {
    const uint64_t address = (1ul << 58) - 1, mispredicted = 1ul << 63;
    struct ttd_stack stack = {.kind = TTD_STACK_AMD, .depth = 16};
    memset(raw, 0, sizeof(raw));
    put(0, 2, address, mispredicted, address, TTD_LBR_VALID);
    put(1, 9, address, 0, address, TTD_LBR_SPECULATIVE); /* a wrong path: no branch of the program */
    put(2, 1, address, 0, address, TTD_LBR_VALID | TTD_LBR_SPECULATIVE);
    put(3, 0, address, 0, address, TTD_LBR_VALID);
    decode("LbrExtV2", stack, 0, 3, 0, TTD_STACK_COMPLETE);
    put(3, 0, address, 0, address, TTD_LBR_VALID | TTD_LBR_ERRONEOUS);
    decode("LbrExtV2, erratum", stack, 0, 2, 1, TTD_STACK_GAP_BEFORE);

    for (unsigned i = 0; i < 16; i++)
        put(15 - i, i, address, 0, address, TTD_LBR_SPECULATIVE);
    decode("LbrExtV2, full of wrong paths", stack, 0, 0, 0, TTD_STACK_GAP_BEFORE);
}

static void test_brs(void) {
    const uint64_t address = (1ul << 48) - 1;
    struct ttd_stack stack = {.kind = TTD_STACK_AMD_BRS, .depth = 16};
    for (unsigned i = 0; i < 16; i++)
        put(i, i, address, 0, address, 0);
    decode("BRS, nothing", stack, TTD_BRS_RESERVED, 0, 0, TTD_STACK_COMPLETE);
    decode("BRS", stack, TTD_BRS_RESERVED | TTD_BRS_VALID | 5ul << 16, 5, 0, TTD_STACK_COMPLETE);
    decode("BRS, full", stack, TTD_BRS_RESERVED | TTD_BRS_VALID, 16, 0, TTD_STACK_GAP_AFTER);
}

int main(void) {
    test_ring();
    test_formats();
    test_newest_first();
    test_amd();
    test_brs();
    return failures != 0;
}
