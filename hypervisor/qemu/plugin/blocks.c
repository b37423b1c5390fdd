/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * blocks.c - see blocks.h.
 */
#include "blocks.h"

#include "api.h"
#include "causes.h"

#define RESET_VECTOR 0xfffffff0u /* the first instruction after a reset */

static void on_target(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    (void)address;
    (void)userdata;
    uint64_t value[2];
    ttd_api_memory_value(info, value);
    ttd_recorder.promised = value[0];
}

void ttd_blocks_watch_target(struct qemu_plugin_insn *insn) {
    qemu_plugin_register_vcpu_mem_cb(insn, on_target, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
}

/* Decides what the entry of the block means. Returns whether *transition must be written as a branch. Its discontinuity
 * event, if it has one, is written already. */
static bool examine(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t delta, uint64_t done,
                    bool has_stored, uint64_t address, struct ttd_transition *transition) {
    if (previous == &ttd_no_block) {
        return false;
    }
    uint64_t icount = ttd_recorder_icount();
    switch (ttd_step_between(previous, delta, done, has_stored, address, icount, transition)) {
    case TTD_STEP_SEQUENTIAL:
        return false;
    case TTD_STEP_RESTARTED:
        recorder->restarts++;
        recorder->counters->instructions--;
        recorder->entered_at = icount - 1;
        return false;
    case TTD_STEP_TRANSITION:
        break;
    }
    if (!ttlog_label_is_discontinuity(transition->label)) {
        if ((transition->label & TTLOG_LABEL_CLASS_MASK) == TTLOG_BRANCH_UNKNOWN) {
            recorder->transitions_unknown++;
        }
        return true;
    }
    recorder->discontinuities++;
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_DISCONTINUITY,
                       TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE, transition->label, transition->from,
                       transition->icount - 1, &transition->to, 1);
    ttd_recorder_publish(recorder, icount);
    return true;
}

void ttd_blocks_enter_slowly(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t done,
                             const struct ttd_block *block, enum ttd_variant variant) {
    struct ttd_transition transition;
    uint64_t delta = recorder->delta;
    uint64_t address = block->address;
    bool has_stored = recorder->counters->accesses >= previous->repeats_store;
    if (recorder->corrects) {
        if (done == previous->count && previous->label == TTLOG_BRANCH_REP && address == previous->last && has_stored) {
            return; /* the next iteration */
        }
        address = ttd_recorder_true_address(block);
        recorder->delta = address - block->address;
        recorder->promised = UINT64_MAX;
    }
    if (examine(recorder, previous, delta, done, has_stored, address, &transition)) {
        if (transition.to == RESET_VECTOR) {
            ttd_causes_forget_table();
            ttd_accesses_forget_context();
        }
        if (recorder->causes) {
            ttd_causes_look(&transition);
        }
        ttd_recorder_branch(recorder, transition.from, transition.to, transition.icount, transition.label, variant);
        ttd_blocks_state(recorder, transition.to, transition.icount);
    }
}
