/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nested.c - see nested.h.
 */
#include "nested.h"

#include <string.h>

#include "api.h"
#include "blocks.h"

static struct {
    bool inside;      /* after VMRUN */
    bool is_entering; /* no block of the guest has run since VMRUN */
    bool is_marked;   /* marks are looked for */
    bool is_silent;   /* outside of the marks */
    uint64_t resume;  /* where the hypervisor goes on */
    struct ttd_counters kept; /* the guest's, while the hypervisor runs */
} nested;

static void on_guest_block(unsigned vcpu, void *userdata) {
    (void)vcpu;
    if (!nested.inside) {
        return;
    }
    if (nested.is_entering) {
        nested.is_entering = false;
        ttd_recorder.own = nested.kept;
    }
    if (!nested.is_silent) {
        ttd_blocks_enter(&ttd_recorder, userdata, TTD_VARIANT_BRANCHES);
    }
}

/* Before on_guest_block() of the same block. */
static void on_begin_mark(unsigned vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    nested.is_silent &= !nested.inside;
}

static void on_end_mark(unsigned vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    if (nested.inside) {
        nested.is_silent = true;
        ttd_recorder.previous = &ttd_no_block;
    }
}

static void on_vmrun(unsigned vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    nested.inside = nested.is_entering = true;
}

static void on_resume(unsigned vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    if (nested.inside && !nested.is_entering) {
        nested.kept = ttd_recorder.own;
    }
    nested.inside = nested.is_entering = false;
}

/* The last mark in a block: '+', '-' or 0. */
static uint8_t mark_in(struct qemu_plugin_tb *tb, size_t count) {
    static const uint8_t mark[] = {0x0f, 0x1f, 0x80, 't', 't', 'd'};
    uint8_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[15];
        size_t size = ttd_api_instruction_bytes(qemu_plugin_tb_get_insn(tb, i), bytes, sizeof bytes);
        if (size == sizeof mark + 1 && memcmp(bytes, mark, sizeof mark) == 0) {
            found = bytes[sizeof mark];
        }
    }
    return found;
}

void ttd_nested_begin(bool is_marked) {
    nested.is_marked = nested.is_silent = is_marked;
}

void ttd_nested_watch(struct qemu_plugin_tb *tb, const struct ttd_block *block, const uint8_t *last_bytes, uint8_t size) {
    static const uint8_t vmrun[] = {0x0f, 0x01, 0xd8};
    if (size == sizeof vmrun && memcmp(last_bytes, vmrun, sizeof vmrun) == 0) {
        nested.resume = block->fall_through;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_vmrun, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else if (nested.resume != 0 && block->address == nested.resume) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_resume, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else {
        uint8_t mark = nested.is_marked ? mark_in(tb, block->count) : 0;
        if (mark != 0) {
            qemu_plugin_register_vcpu_tb_exec_cb(tb, mark == '+' ? on_begin_mark : on_end_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_guest_block, QEMU_PLUGIN_CB_NO_REGS, (void *)block);
    }
}
