/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin.c - the plugin's interface to QEMU: installation, instrumentation of translated blocks, callbacks.
 */
#include <string.h>

#include "accesses.h"
#include "api.h"
#include "blocks.h"
#include "causes.h"
#include "check.h"
#include "decode.h"
#include "memory.h"
#include "nested.h"
#include "options.h"
#include "recorder.h"
#include "session.h"
#include "wake.h"

/* The instrumentation of every block; set once, at installation. */
static struct {
    qemu_plugin_vcpu_udata_cb_t on_block;
    bool access;
    bool context;
    bool check;
    bool shared; /* blocks are shared between virtual addresses */
} wanted;

static void on_block_branches(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter(&ttd_recorder, userdata, TTD_VARIANT_BRANCHES);
}

static void on_block_clock(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter(&ttd_recorder, userdata, TTD_VARIANT_CLOCK);
}

static void on_block_oracle(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter(&ttd_recorder, userdata, TTD_VARIANT_ORACLE);
}

static void on_shared_block_branches(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter_shared(&ttd_recorder, userdata, TTD_VARIANT_BRANCHES);
}

static void on_shared_block_clock(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter_shared(&ttd_recorder, userdata, TTD_VARIANT_CLOCK);
}

static void on_shared_block_oracle(unsigned vcpu, void *userdata) {
    (void)vcpu;
    ttd_blocks_enter_shared(&ttd_recorder, userdata, TTD_VARIANT_ORACLE);
}

static void describe_end(struct ttd_block *block, uint64_t address, uint64_t size,
                         const struct ttd_instruction *decoded) {
    block->last = address;
    block->fall_through = address + size;
    block->repeats_store = decoded->repeats_store;
    block->has_target = decoded->has_static_target;
    block->target = decoded->has_static_target ? decoded->target : block->fall_through;
    block->is_indirect = (uint8_t)ttd_class_is_indirect(decoded->branch_class);
    block->label = decoded->branch_class | (decoded->has_static_target ? TTLOG_LABEL_STATIC : 0);
}

/* QEMU 7.2 drops the last instruction of a block if it crosses a page, but still lists it for plugins, with the bytes
 * that it has read so far. The instruction never executes in this block. The `done` rule handles that if the
 * instructions before it are counted separately. */
static bool may_be_dropped(uint64_t address) {
    return (address & 0xfff) > 0x1000 - TTD_INSTRUCTION_MAX;
}

/* Requests all callbacks of the block. Returns false without memory. */
static bool instrument(struct qemu_plugin_tb *tb, size_t count) {
    struct ttd_block *block =
        ttd_arena_allocate(&ttd_recorder.blocks, sizeof *block + count * sizeof block->sites[0]);
    if (!block) {
        return false;
    }
    block->address = qemu_plugin_tb_vaddr(tb);
    block->count = count;
    bool good = true;
    uint64_t uncounted = 0;
    uint8_t last_bytes[TTD_INSTRUCTION_MAX], last_size = 0;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        uint8_t *bytes = last_bytes;
        uint8_t size = last_size = (uint8_t)ttd_api_instruction_bytes(insn, bytes, sizeof last_bytes);
        struct ttd_instruction decoded;
        ttd_decode(bytes, size, address, &decoded);
        block->sites[i] = (struct ttd_site){
            .offset = (uint16_t)(address - block->address), .size = size, .branch_class = decoded.branch_class};

        /* Instructions that cannot fault are counted together with the next one that can: nothing reads the counter
         * between them. */
        uncounted++;
        if (!decoded.cannot_fault || i == count - 1 || (i == count - 2 && may_be_dropped(address + size))) {
            ttd_api_count_instructions(insn, &ttd_recorder.own, uncounted);
            uncounted = 0;
        }
        if (i == count - 1) {
            describe_end(block, address, size, &decoded);
            if (decoded.reads_target && ttd_recorder.corrects) {
                block->reads_target = 1;
                ttd_blocks_watch_target(insn);
            }
        }
        bool accesses = wanted.access && decoded.access_kind != 0;
        bool switches = wanted.context && (decoded.loads_address_space || decoded.switches_stack);
        struct qemu_plugin_insn *next =
            (accesses || switches) && i + 1 < count ? qemu_plugin_tb_get_insn(tb, i + 1) : NULL;
        if (accesses) {
            good = ttd_accesses_watch(insn, next, address, size, (uint16_t)i, &decoded) && good;
        }
        if (switches) {
            good = ttd_accesses_watch_context(insn, next, address, size, (uint16_t)i, &decoded) && good;
        }
        if (ttd_memory_wanted() && !decoded.cannot_fault) {
            ttd_memory_watch(insn, address);
        }
        if (decoded.loads_table && ttd_recorder.causes) {
            ttd_causes_watch_table(insn);
        }
        if (wanted.check) {
            good = ttd_check_instruction(insn, address, size, &decoded) && good;
        }
        if (decoded.repeats_store) {
            ttd_api_count_accesses(insn, &ttd_recorder.own); /* last: the check reads the count of the iteration before */
        }
    }
    if (ttd_recorder.nested) {
        ttd_nested_watch(tb, block, last_bytes, last_size);
        return good;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, wanted.on_block,
                                         wanted.shared ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS, block);
    if (wanted.check && wanted.shared) {
        ttd_check_block(tb, block);
    }
    return good;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    if (count == 0 || ttd_wake_sleeps()) {
        return;
    }
    ttd_recorder.blocks_translated++;
    if (count > TTD_BLOCK_INSTRUCTIONS_MAX) {
        ttd_recorder_abandon_positions("a translation block has more instructions than QEMU allows");
    } else if (!instrument(tb, count)) {
        ttd_recorder_abandon_positions("no memory to describe a translation block");
    }
}

static void on_vcpu_start(qemu_plugin_id_t id, unsigned vcpu) {
    (void)id;
    if (vcpu == 0) {
        ttd_session_start_vcpu();
    }
}

static void on_flush(qemu_plugin_id_t id) {
    (void)id;
    ttd_session_flush();
    ttd_check_flush();
}

static void on_exit(qemu_plugin_id_t id, void *userdata) {
    (void)id;
    (void)userdata;
    if (wanted.check) {
        ttd_check_report();
    }
    ttd_session_finish();
}

static uint64_t features(const struct ttd_options *options) {
    const ttlog_options *writer = &options->writer;
    uint64_t bits = TTLOG_FEATURE_ICOUNT | TTLOG_FEATURE_LABELS;
    if (writer->mode != TTLOG_MODE_EVENTS) {
        bits |= TTLOG_FEATURE_BRANCHES;
    }
    if (options->access) {
        bits |= TTLOG_FEATURE_ACCESSES;
    }
    if (options->mmio) {
        bits |= TTLOG_FEATURE_MMIO;
    }
    if (options->values && ttd_api_shares_blocks()) {
        bits |= (options->access ? TTLOG_FEATURE_ACCESS_VALUES : 0) | (options->mmio ? TTLOG_FEATURE_MMIO_VALUES : 0);
    }
    if (options->ram) {
        bits |= TTLOG_FEATURE_RAM | (ttd_memory_has_ram_values() ? TTLOG_FEATURE_RAM_VALUES : 0);
    }
    if (options->context && ttd_api_shares_blocks()) {
        bits |= TTLOG_FEATURE_CONTEXT;
    }
    if (options->causes && options->correct && ttd_api_shares_blocks()) {
        bits |= TTLOG_FEATURE_CAUSES;
    }
    if (options->state && ttd_api_shares_blocks()) {
        bits |= TTLOG_FEATURE_STATE;
    }
    if (writer->window_from != 0 || writer->window_to != 0) {
        bits |= TTLOG_FEATURE_WINDOWS;
    }
    return bits;
}

static qemu_plugin_vcpu_udata_cb_t block_callback(uint8_t mode) {
    if (mode == TTLOG_MODE_EVENTS) {
        return wanted.shared ? on_shared_block_clock : on_block_clock;
    }
    if (ttd_recorder.oracle) {
        return wanted.shared ? on_shared_block_oracle : on_block_oracle;
    }
    return wanted.shared ? on_shared_block_branches : on_block_branches;
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    char message[512];
    struct ttd_options options;
    if (!ttd_api_accepts(info, message, sizeof message) ||
        !ttd_options_parse(argc, argv, &options, message, sizeof message)) {
        ttd_tell("%s", message);
        return -1;
    }
    if (options.nested && ttd_api_shares_blocks()) {
        ttd_tell("nested=on: this QEMU shares blocks between addresses, which the option does not know");
        return -1;
    }
    if (options.nested) {
        options.access = options.mmio = options.ram = options.check = false;
    }
    if (options.await && !ttd_wake_open(options.await)) {
        ttd_tell("%s: no file of a tool that wakes this recorder", options.await);
        return -1;
    }
    const struct ttd_memory_options memory = {
        .devices = options.mmio, .ram = options.ram, .values = options.values, .ram_file = options.ramfile};
    if (!ttd_memory_start(&memory)) {
        ttd_tell("%s: cannot be mapped", options.ramfile);
        return -1;
    }
    options.writer.machine = strcmp(info->target_name, "i386") == 0 ? 3 : 62; /* EM_386, EM_X86_64 */
    options.writer.recorder = TTLOG_RECORDER_QEMU;
    options.writer.recorder_generation = (uint16_t)ttd_api_generation();
    options.writer.clock = TTLOG_CLOCK_TRANSITIONS;
    options.writer.features = features(&options);
    if (!options.writer.recorder_name) {
        options.writer.recorder_name = "qemu, ttd plugin 0.1";
    }
    ttd_session_start(&options);
    ttd_nested_begin(options.marked);

    wanted.access = options.access;
    wanted.check = options.check && options.writer.mode != TTLOG_MODE_EVENTS;
    wanted.shared = ttd_api_shares_blocks();
    wanted.context = options.context && wanted.shared;
    ttd_accesses_start(options.values && wanted.shared);
    wanted.on_block = block_callback(options.writer.mode);
    if (ttd_recorder.writer) {
        if (wanted.shared) {
            qemu_plugin_register_vcpu_init_cb(id, on_vcpu_start);
        }
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
        qemu_plugin_register_flush_cb(id, on_flush);
        qemu_plugin_register_atexit_cb(id, on_exit, NULL);
    }
    return 0;
}
