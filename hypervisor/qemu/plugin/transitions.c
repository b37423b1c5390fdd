/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * transitions.c - see transitions.h.
 */
#include "transitions.h"

#include "ttlog.h"
#include "decode.h"

int ttd_class_is_indirect(uint8_t branch_class) {
    switch (branch_class) {
    case TTLOG_BRANCH_NONE:
    case TTLOG_BRANCH_JCC:
    case TTLOG_BRANCH_JMP:
    case TTLOG_BRANCH_CALL:
    case TTLOG_BRANCH_HLT:
    case TTLOG_BRANCH_REP:
        return 0;
    default:
        return 1;
    }
}

enum ttd_step ttd_step_after(uint64_t from, uint64_t fall_through, uint8_t branch_class, int has_target,
                             uint64_t target, int has_stored, uint64_t to, uint64_t icount,
                             struct ttd_transition *transition) {
    if (to == fall_through) {
        return TTD_STEP_SEQUENTIAL;
    }
    uint8_t label = branch_class;
    if (has_target && ttd_target_explains(target, to)) {
        label |= TTLOG_LABEL_STATIC;
    } else if (to == from) {
        if (branch_class == TTLOG_BRANCH_REP) {
            return has_stored ? TTD_STEP_SEQUENTIAL : TTD_STEP_RESTARTED;
        }
        if (branch_class == TTLOG_BRANCH_NONE || branch_class == TTLOG_BRANCH_CALL) {
            return TTD_STEP_RESTARTED; /* only these can write to their own block */
        }
    }
    *transition = (struct ttd_transition){.from = from, .to = to, .icount = icount, .label = label};
    return TTD_STEP_TRANSITION;
}

enum ttd_step ttd_step_between(const struct ttd_block *previous, uint64_t delta, uint64_t done, int has_stored,
                               uint64_t to, uint64_t icount, struct ttd_transition *transition) {
    if (done == previous->count) {
        uint8_t branch_class = previous->label & TTLOG_LABEL_CLASS_MASK;
        return ttd_step_after(previous->last + delta, previous->fall_through + delta, branch_class,
                              previous->has_target, previous->target + delta, has_stored, to, icount, transition);
    }
    if (done == 0 || done > previous->count) {
        /* These rules do not cover what QEMU did: the label names no instruction. */
        *transition = (struct ttd_transition){
            .from = previous->address + delta, .to = to, .icount = icount, .label = TTLOG_BRANCH_UNKNOWN};
        return TTD_STEP_TRANSITION;
    }
    const struct ttd_site *site = &previous->sites[done - 1];
    uint64_t from = previous->address + delta + site->offset;
    return ttd_step_after(from, from + site->size, site->branch_class, 0, 0, has_stored, to, icount, transition);
}
