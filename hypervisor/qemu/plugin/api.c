/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * api.c - everything that depends on the level of QEMU's plugin interface.
 *
 * QEMU reads qemu_plugin_version before it calls a function here. It refuses a plugin whose version is outside of its
 * range, with a message that gives no remedy. Constructors run earlier: one chooses the version by the functions that
 * the process exports, so that every QEMU loads the plugin and the plugin itself refuses with a useful message.
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
    if (qemu_plugin_scoreboard_new) {
        return qemu_plugin_mem_get_value ? 4 : 2;
    }
    return 1;
}

bool ttd_api_shares_blocks(void) {
    return ttd_api_generation() >= 4;
}

__attribute__((constructor)) static void choose_version(void) {
    qemu_plugin_version = ttd_api_generation();
}

bool ttd_api_accepts(const qemu_info_t *info, char *message, size_t size) {
    bool known = (info->version.cur == 1 && qemu_plugin_register_vcpu_insn_exec_inline) ||
                 (info->version.cur == 4 && ttd_api_generation() == 4);
    if (!known) {
        snprintf(message, size,
                 "this QEMU offers plugin API %d (oldest accepted: %d); this plugin knows API 1, which QEMU 7.2 (Debian "
                 "bookworm) has, and API 4 of QEMU 10.0 (bookworm-backports). Run it with one of them.",
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
                 "the guest has %d vCPUs; the plugin counts the instructions of one, and QEMU's record/replay does not "
                 "support more. Use -smp 1.",
                 info->system.smp_vcpus);
        return false;
    }
    return true;
}

static struct qemu_plugin_scoreboard *score; /* of struct ttd_counters */

struct ttd_counters *ttd_api_start_counters(struct ttd_counters *own) {
    if (!qemu_plugin_scoreboard_new) {
        return own;
    }
    if (!score) {
        score = qemu_plugin_scoreboard_new(sizeof(struct ttd_counters));
    }
    return qemu_plugin_scoreboard_find(score, 0);
}

void ttd_api_count_instructions(struct qemu_plugin_insn *insn, struct ttd_counters *own, uint64_t count) {
    if (score) {
        qemu_plugin_u64 entry = {.score = score, .offset = offsetof(struct ttd_counters, instructions)};
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, entry, count);
    } else {
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &own->instructions, count);
    }
}

static void begin_accesses(unsigned vcpu, void *userdata) {
    (void)vcpu;
    struct ttd_counters *own = userdata;
    own->accesses = 0;
}

void ttd_api_count_accesses(struct qemu_plugin_insn *insn, struct ttd_counters *own) {
    if (score) {
        qemu_plugin_u64 entry = {.score = score, .offset = offsetof(struct ttd_counters, accesses)};
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_STORE_U64, entry, 0);
        qemu_plugin_register_vcpu_mem_inline_per_vcpu(insn, QEMU_PLUGIN_MEM_RW, QEMU_PLUGIN_INLINE_ADD_U64, entry, 1);
    } else {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, begin_accesses, QEMU_PLUGIN_CB_NO_REGS, own);
        qemu_plugin_register_vcpu_mem_inline(insn, QEMU_PLUGIN_MEM_RW, QEMU_PLUGIN_INLINE_ADD_U64, &own->accesses, 1);
    }
}

static struct {
    const GArray *list; /* of qemu_plugin_reg_descriptor */
    struct qemu_plugin_register *handles[TTD_REGISTER_COUNT];
    GByteArray *value;
} registers;

struct qemu_plugin_register *ttd_api_find_register(const char *name) {
    const qemu_plugin_reg_descriptor *descriptors = (const void *)registers.list->data;
    for (unsigned i = 0; i < registers.list->len; i++) {
        if (strcmp(descriptors[i].name, name) == 0) {
            return descriptors[i].handle;
        }
    }
    return NULL;
}

bool ttd_api_find_registers(const char **missing) {
    static const char *const names[TTD_REGISTER_COUNT] = {
        "rax",
        "rcx",
        "rdx",
        "rbx",
        "rsp",
        "rbp",
        "rsi",
        "rdi",
        "r8",
        "r9",
        "r10",
        "r11",
        "r12",
        "r13",
        "r14",
        "r15",
        [TTD_REGISTER_RIP] = "rip",
        [TTD_REGISTER_CR2] = "cr2",
        [TTD_REGISTER_CR3] = "cr3",
    };
    registers.value = g_byte_array_new();
    registers.list = qemu_plugin_get_registers();
    for (int which = 0; which < TTD_REGISTER_COUNT; which++) {
        registers.handles[which] = ttd_api_find_register(names[which]);
        if (!registers.handles[which]) {
            *missing = names[which];
            return false;
        }
    }
    return true;
}

void ttd_api_read(struct qemu_plugin_register *handle, uint8_t *bytes, size_t size) {
    GByteArray *value = registers.value;
    value->len = 0; /* QEMU appends */
    qemu_plugin_read_register(handle, value);
    memcpy(bytes, value->data, value->len < size ? value->len : size);
}

uint64_t ttd_api_read_register(enum ttd_register which) {
    uint64_t value = 0;
    ttd_api_read(registers.handles[which], (uint8_t *)&value, sizeof value);
    return value;
}

size_t ttd_api_instruction_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t size) {
    size_t length = qemu_plugin_insn_size(insn);
    if (length > size) {
        length = size;
    }
    if (ttd_api_generation() >= 4) {
        size_t (*copy)(const struct qemu_plugin_insn *, void *, size_t);
        const void *(*function)(const struct qemu_plugin_insn *) = qemu_plugin_insn_data;
        memcpy(&copy, &function, sizeof copy);
        return copy(insn, bytes, length);
    }
    memcpy(bytes, qemu_plugin_insn_data(insn), length);
    return length;
}

bool ttd_api_read_memory(uint64_t address, uint8_t *bytes, size_t size) {
    GByteArray *data = registers.value;
    data->len = 0;
    if (!qemu_plugin_read_memory_vaddr(address, data, size) || data->len < size) {
        return false;
    }
    memcpy(bytes, data->data, size);
    return true;
}

bool ttd_api_read_stack(uint64_t *words, size_t count) {
    return ttd_api_read_memory(ttd_api_read_register(TTD_REGISTER_RSP), (uint8_t *)words, count * sizeof *words);
}

unsigned ttd_api_memory_value(qemu_plugin_meminfo_t info, uint64_t value[2]) {
    qemu_plugin_mem_value read = qemu_plugin_mem_get_value(info);
    value[1] = 0;
    switch (read.type) {
    case 0:
        value[0] = read.data.u8;
        break;
    case 1:
        value[0] = read.data.u16;
        break;
    case 2:
        value[0] = read.data.u32;
        break;
    case 3:
        value[0] = read.data.u64;
        break;
    default:
        value[0] = read.data.u128.low;
        value[1] = read.data.u128.high;
        break;
    }
    return 1u << read.type;
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
