/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * api.c - everything that depends on the generation of QEMU's plugin interface.
 *
 * QEMU reads qemu_plugin_version before it calls anything here, and refuses a plugin whose version is outside of its
 * range with a message that helps nobody. Constructors run earlier still: the version is chosen there, by what the
 * process offers, so that the plugin is let in everywhere and can refuse by name.
 */
#define _GNU_SOURCE
#include "api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

QEMU_EXPORT int qemu_plugin_version = 1;

int ttd_api_generation(void) {
    if (qemu_plugin_register_vcpu_discon_cb) {
        return 7;
    }
    return qemu_plugin_scoreboard_new ? 4 : 1;
}

__attribute__((constructor)) static void choose_version(void) {
    qemu_plugin_version = ttd_api_generation();
}

bool ttd_api_accepts(const qemu_info_t *info, char *message, size_t size) {
    if (info->version.min > 1 || info->version.cur != 1 || !qemu_plugin_register_vcpu_insn_exec_inline) {
        snprintf(message, size,
                 "this QEMU offers plugin API %d (oldest accepted: %d); this plugin knows API 1 only, which QEMU 7.2 "
                 "(Debian bookworm) has. Run it with QEMU 7.2.",
                 info->version.cur, info->version.min);
        return false;
    }
    if (!info->system_emulation) {
        snprintf(message, size, "this is QEMU's user emulation; the plugin records whole machines "
                                "(qemu-system-x86_64)");
        return false;
    }
    if (strcmp(info->target_name, "x86_64") != 0 && strcmp(info->target_name, "i386") != 0) {
        snprintf(message, size, "the guest is %s; the plugin knows x86 only", info->target_name);
        return false;
    }
    if (info->system.smp_vcpus != 1) {
        snprintf(message, size,
                 "the guest has %d vCPUs; plugin API 1 counts the instructions of all vCPUs together, and QEMU's "
                 "record/replay does not support more than one. Use -smp 1.",
                 info->system.smp_vcpus);
        return false;
    }
    return true;
}

void ttd_api_count_instructions(struct qemu_plugin_insn *insn, uint64_t *counter, uint64_t count) {
    qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, count);
}

size_t ttd_api_instruction_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t size) {
    size_t length = qemu_plugin_insn_size(insn);
    if (length > size) {
        length = size;
    }
    memcpy(bytes, qemu_plugin_insn_data(insn), length);
    return length;
}

bool ttd_api_engine_icount(uint64_t *icount) {
    static int64_t (*icount_get_raw)(void);
    static const int *use_icount;
    static bool looked;
    if (!looked) {
        looked = true;
        void *symbol = dlsym(RTLD_DEFAULT, "icount_get_raw");
        memcpy(&icount_get_raw, &symbol, sizeof symbol);
        use_icount = dlsym(RTLD_DEFAULT, "use_icount");
    }
    if (!icount_get_raw || !use_icount || *use_icount == 0) {
        return false;
    }
    *icount = (uint64_t)icount_get_raw();
    return true;
}
