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
    ttd_blocks_enter(&ttd_recorder, userdata, TTD_VARIANT_BRANCHES);
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

void ttd_nested_watch(struct qemu_plugin_tb *tb, const struct ttd_block *block, const uint8_t *last_bytes, uint8_t size) {
    static const uint8_t vmrun[] = {0x0f, 0x01, 0xd8};
    if (size == sizeof vmrun && memcmp(last_bytes, vmrun, sizeof vmrun) == 0) {
        nested.resume = block->fall_through;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_vmrun, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else if (nested.resume != 0 && block->address == nested.resume) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_resume, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_guest_block, QEMU_PLUGIN_CB_NO_REGS, (void *)block);
    }
}
