/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * check.c - see check.h.
 */
#include "check.h"

#include <stdio.h>

#include "api.h"
#include "recorder.h"

/* An instruction, as the callback needs it. */
struct checked {
    uint64_t address;
    uint64_t fall_through;
    uint64_t target;
    uint8_t branch_class;
    uint8_t has_target;
    uint8_t repeats_store;
};

static struct {
    struct ttd_arena memory;
    struct checked previous; /* a copy, because a flush frees its memory */
    bool has_previous;
    uint64_t clock;  /* of the log, at the previous instruction */
    uint64_t icount; /* instructions begun */
    uint64_t transitions;
    uint64_t mismatches;
    uint64_t blocks; /* compared with rip */
    uint64_t wrong_addresses;
} check;

static void report_mismatch(const struct ttd_transition *expected, const struct ttlog_raw_branch *written) {
    if (++check.mismatches > 10) {
        return;
    }
    ttd_tell("check: at instruction %llu expected %llx -> %llx label %x, written %llx -> %llx icount %llu label %x",
             (unsigned long long)check.icount, (unsigned long long)(expected ? expected->from : 0),
             (unsigned long long)(expected ? expected->to : 0), expected ? expected->label : 0,
             (unsigned long long)(written ? written->from : 0), (unsigned long long)(written ? written->to : 0),
             (unsigned long long)(written ? written->icount_label >> 8 : 0),
             written ? (unsigned)(written->icount_label & 0xff) : 0);
}

static void compare(const struct ttd_transition *expected) {
    const ttlog_lane *lane = ttd_recorder.lane;
    uint64_t written = lane->clock - check.clock;
    check.clock = lane->clock;
    const struct ttlog_raw_branch *record = written && lane->next ? lane->next - 1 : NULL;
    if (!expected && !record) {
        return;
    }
    check.transitions++;
    if (!expected || !record || written != 1 || record->from != expected->from || record->to != expected->to ||
        record->icount_label != (expected->icount << 8 | expected->label)) {
        report_mismatch(expected, record);
    }
}

static void on_instruction(unsigned vcpu, void *userdata) {
    (void)vcpu;
    struct checked now = *(const struct checked *)userdata;
    uint64_t delta = ttd_recorder.delta;
    now.address += delta;
    now.fall_through += delta;
    now.target += delta;
    if (__atomic_load_n(&ttd_recorder.stopped, __ATOMIC_RELAXED) || ttd_recorder.lane->branches_off) {
        return;
    }
    struct ttd_transition transition;
    const struct ttd_transition *expected = NULL;
    if (check.has_previous) {
        const struct checked *before = &check.previous;
        int has_stored = ttd_recorder.counters->accesses >= before->repeats_store;
        switch (ttd_step_after(before->address, before->fall_through, before->branch_class, before->has_target,
                               before->target, has_stored, now.address, check.icount, &transition)) {
        case TTD_STEP_SEQUENTIAL:
            break;
        case TTD_STEP_RESTARTED:
            check.icount--;
            break;
        case TTD_STEP_TRANSITION:
            expected = &transition;
            break;
        }
        compare(expected);
    } else {
        check.clock = ttd_recorder.lane->clock;
        check.icount = ttd_recorder.entered_at;
        check.has_previous = true;
    }
    check.previous = now;
    check.icount++;
}

bool ttd_check_instruction(struct qemu_plugin_insn *insn, uint64_t address, uint8_t size,
                           const struct ttd_instruction *decoded) {
    struct checked *checked = ttd_arena_allocate(&check.memory, sizeof *checked);
    if (!checked) {
        return false;
    }
    *checked = (struct checked){
        .address = address,
        .fall_through = address + size,
        .target = decoded->target,
        .branch_class = decoded->branch_class,
        .has_target = decoded->has_static_target,
        .repeats_store = decoded->repeats_store,
    };
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, checked);
    return true;
}

static void on_block(unsigned vcpu, void *userdata) {
    (void)vcpu;
    const struct ttd_block *block = userdata;
    if (__atomic_load_n(&ttd_recorder.stopped, __ATOMIC_RELAXED)) {
        return;
    }
    uint64_t expected = ttd_recorder_true_address(block);
    uint64_t assumed = block->address + ttd_recorder.delta;
    check.blocks++;
    if (assumed != expected && ++check.wrong_addresses <= 10) {
        ttd_tell("check: at instruction %llu a block is at %llx, assumed at %llx",
                 (unsigned long long)ttd_recorder_icount(), (unsigned long long)expected,
                 (unsigned long long)assumed);
    }
}

void ttd_check_block(struct qemu_plugin_tb *tb, const struct ttd_block *block) {
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_R_REGS, (void *)block);
}

void ttd_check_flush(void) {
    ttd_arena_free(&check.memory);
}

void ttd_check_report(void) {
    if (!ttd_recorder.writer) {
        return;
    }
    char text[80];
    snprintf(text, sizeof text, "%llu transitions checked, %llu mismatches", (unsigned long long)check.transitions,
             (unsigned long long)check.mismatches);
    ttd_tell("check: %s", text);
    ttlog_write_attribute(ttd_recorder.writer, "recorder.check", text);
    if (check.blocks > 0) {
        snprintf(text, sizeof text, "%llu blocks checked, %llu wrong addresses", (unsigned long long)check.blocks,
                 (unsigned long long)check.wrong_addresses);
        ttd_tell("check: %s", text);
        ttlog_write_attribute(ttd_recorder.writer, "recorder.check-addresses", text);
    }
}
