/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * transitions.h - exact detection of control transfers from the execution of translation blocks.
 *
 * The inputs are the entry of each block and an inline counter of instructions begun. They are enough, because only an
 * instruction that does not complete leaves a block early. With `done` = instructions begun since the block was entered:
 *
 *     done == count   the block ran to its end: its last instruction, or an event after it, led to the next block;
 *     done <  count   an exception left instruction number done - 1.
 *
 * The boundaries of blocks differ from run to run (a replay cuts blocks at its events), so the result must not depend on
 * them: to continue at the address after the last instruction is never a transition. The rules:
 *
 *     fall-through    not a transition
 *     static target   the branch was taken; 16- and 32-bit code wraps (ttd_target_explains)
 *     rep             an iteration of a repeated string instruction goes to itself: not a transition
 *     restart         QEMU begins an instruction that stores into its own block again: not a transition, and the count
 *                     is one too high. A repeated store that goes to itself was restarted if it has not stored
 *     anything else   a transition: an indirect branch, or a discontinuity, which no instruction explains
 *
 * Pure: no QEMU, no writer.
 */
#ifndef TTD_TRANSITIONS_H
#define TTD_TRANSITIONS_H

#include <stdint.h>

/* One instruction of a block. */
struct ttd_site {
    uint16_t offset; /* from the block's address */
    uint8_t size;    /* bytes */
    uint8_t branch_class;
};

/* A translation block: one cache line with the data that its execution needs, then its instructions. */
struct ttd_block {
    uint64_t address;      /* of the first instruction */
    uint64_t last;         /* address of the last instruction */
    uint64_t fall_through; /* the address after it */
    uint64_t target;       /* its static target; fall_through if it has none */
    uint64_t count;        /* instructions */
    uint8_t label;         /* of the last instruction, if it goes to `target` */
    uint8_t is_indirect;   /* the last instruction explains any target */
    uint8_t has_target;
    uint8_t reads_target;  /* the last instruction reads its target from memory, and is watched */
    uint8_t repeats_store; /* the last instruction is a repeated store: its memory accesses for each iteration */
    uint8_t reserved[19];
    struct ttd_site sites[]; /* count of them */
};
_Static_assert(sizeof(struct ttd_block) == 64, "a block's header is one cache line");

struct ttd_transition {
    uint64_t from;
    uint64_t to;
    uint64_t icount; /* instructions begun before the one at `to` */
    uint8_t label;
};

enum ttd_step {
    TTD_STEP_SEQUENTIAL, /* no transition */
    TTD_STEP_TRANSITION,
    TTD_STEP_RESTARTED, /* no transition, and the instruction counter is one too high */
};

/* The meaning of the entry of a block at `to`, after `done` instructions of `previous` and `icount` instructions in all have
 * begun. `previous` was executed `delta` bytes (modulo 2^64) above the addresses in its description. `has_stored`: its
 * last instruction, a repeated store, has stored. Fills *transition if it is one. The caller has handled the common
 * cases. */
enum ttd_step ttd_step_between(const struct ttd_block *previous, uint64_t delta, uint64_t done, int has_stored,
                               uint64_t to, uint64_t icount, struct ttd_transition *transition);

/* The same for one instruction: it began, and the next one to begin is at `to`. The basic rule. */
enum ttd_step ttd_step_after(uint64_t from, uint64_t fall_through, uint8_t branch_class, int has_target,
                             uint64_t target, int has_stored, uint64_t to, uint64_t icount,
                             struct ttd_transition *transition);

/* Whether an instruction of this class explains any target. */
int ttd_class_is_indirect(uint8_t branch_class);

#endif
