/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * blocks.h - what the entry of a translation block means: nothing, a branch, or a discontinuity. The functions that run
 * at every block are inline here; the others are in blocks.c.
 */
#ifndef TTD_BLOCKS_H
#define TTD_BLOCKS_H

#include "accesses.h"
#include "qemu_plugin_api.h"
#include "recorder.h"
#include "state.h"

/* Notes the target that a near branch reads from memory, in `promised`. */
void ttd_blocks_watch_target(struct qemu_plugin_insn *insn);

/* Enters a block that is neither the fall-through nor an obvious branch target. */
void ttd_blocks_enter_slowly(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t done,
                               const struct ttd_block *block, enum ttd_variant variant);

/* A block is entered. */
TTD_INLINE void ttd_blocks_enter(struct ttd_recorder *recorder, const struct ttd_block *block,
                                   enum ttd_variant variant) {
    const struct ttd_block *previous = recorder->previous;
    uint64_t icount = recorder->own.instructions;
    uint64_t done = icount - recorder->entered_at;
    recorder->previous = block;
    recorder->entered_at = icount;
    if (__builtin_expect(done == previous->count, 1)) {
        if (block->address == previous->fall_through) {
            return;
        }
        if (__builtin_expect(block->address == previous->target || previous->is_indirect, 1)) {
            ttd_recorder_branch(recorder, previous->last, block->address, icount, previous->label, variant);
            return;
        }
    }
    ttd_blocks_enter_slowly(recorder, previous, done, block, variant);
}

/* After a branch: samples the registers when a sample is due. */
TTD_INLINE void ttd_blocks_state(struct ttd_recorder *recorder, uint64_t ip, uint64_t icount) {
    if (__builtin_expect(recorder->lane->clock % TTD_STATE_SAMPLE == 0, 0) && recorder->digests) {
        ttd_state_look(ip, icount);
    }
}

/* A block is entered that QEMU may share between virtual addresses: its description holds the addresses of its first
 * execution. Fall-through and static targets are relative to the block, so they hold at any address. The plugin sees
 * the target that a branch reads from memory; if the description has the same address, the block is at that address.
 * Otherwise the plugin reads rip, which takes much longer. */
TTD_INLINE void ttd_blocks_enter_shared(struct ttd_recorder *recorder, const struct ttd_block *block,
                                          enum ttd_variant variant) {
    if (__builtin_expect(recorder->unsettled, 0)) {
        ttd_accesses_settle_at_block(block);
    }
    const struct ttd_block *previous = recorder->previous;
    uint64_t icount = recorder->counters->instructions;
    uint64_t done = icount - recorder->entered_at;
    recorder->previous = block;
    recorder->entered_at = icount;
    if (__builtin_expect(done == previous->count, 1)) {
        if (block->address == previous->fall_through) {
            return;
        }
        if (__builtin_expect(block->address == previous->target, 1)) {
            uint64_t delta = recorder->delta;
            ttd_recorder_branch(recorder, previous->last + delta, block->address + delta, icount, previous->label,
                                variant);
            ttd_blocks_state(recorder, block->address + delta, icount);
            return;
        }
        if (previous->reads_target && block->address == recorder->promised) {
            uint64_t from = previous->last + recorder->delta;
            recorder->delta = 0;
            recorder->promised = UINT64_MAX;
            ttd_recorder_branch(recorder, from, block->address, icount, previous->label, variant);
            ttd_blocks_state(recorder, block->address, icount);
            return;
        }
    }
    ttd_blocks_enter_slowly(recorder, previous, done, block, variant);
}

#endif
