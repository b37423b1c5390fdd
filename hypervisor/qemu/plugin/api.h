/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * api.h - QEMU's plugin interface as the rest of the plugin uses it, the same for every generation. Only api.c knows the
 * differences between generations.
 */
#ifndef TTD_API_H
#define TTD_API_H

#include "qemu_plugin_api.h"

/* The plugin API level that this QEMU process offers: 1, 2, 4 or 7, from the functions that it exports, because the
 * level is needed before QEMU passes it. The plugin supports 1 and 4. */
int ttd_api_generation(void);

/* Whether registers and memory can be read, and blocks are shared between virtual addresses (CF_PCREL): both came with
 * QEMU 9 and 10. Then the addresses that QEMU gives for a block are those of its first execution. */
bool ttd_api_shares_blocks(void);

/* Whether this plugin supports the QEMU that `info` describes. If not, `message` has the reason, for people. */
bool ttd_api_accepts(const qemu_info_t *info, char *message, size_t size);

/* Counters to which QEMU's generated code adds. */
struct ttd_counters {
    uint64_t instructions; /* begun */
    uint64_t accesses;     /* to memory, completed, since an instruction for which they are counted began */
};

/* The counters: `own`, or QEMU's memory. Call it when the vCPU starts, on its thread. */
struct ttd_counters *ttd_api_start_counters(struct ttd_counters *own);

/* Adds `count` to the instructions each time the instruction begins executing; `own` as above. */
void ttd_api_count_instructions(struct qemu_plugin_insn *insn, struct ttd_counters *own, uint64_t count);

/* Counts the memory accesses of the instruction from 0 each time it begins: loads and stores, because QEMU 7.2 does not
* distinguish them. QEMU 7.2 continues to count accesses of later instructions. `own` as above. */
void ttd_api_count_accesses(struct qemu_plugin_insn *insn, struct ttd_counters *own);

/* Registers that can be read where blocks are shared. */
enum ttd_register {
    TTD_REGISTER_RAX, /* the general registers, as x86 numbers them */
    TTD_REGISTER_RCX,
    TTD_REGISTER_RDX,
    TTD_REGISTER_RBX,
    TTD_REGISTER_RSP,
    TTD_REGISTER_R15 = 15,
    TTD_REGISTER_RIP,
    TTD_REGISTER_CR2,
    TTD_REGISTER_CR3,
    TTD_REGISTER_COUNT,
};

/* Looks up the registers. Call it when the vCPU starts, on its thread. If one is missing, returns false and its name in
 * *missing. */
bool ttd_api_find_registers(const char **missing);

/* The register with this name in QEMU, or NULL; and the first `size` bytes of a register, or all if it has fewer. As
 * below. */
struct qemu_plugin_register *ttd_api_find_register(const char *name);
void ttd_api_read(struct qemu_plugin_register *handle, uint8_t *bytes, size_t size);

/* The first 64 bits of a register of the current vCPU. The calling callback must be registered with QEMU_PLUGIN_CB_R_REGS.
 * rip is exact at a block's start only. */
uint64_t ttd_api_read_register(enum ttd_register which);

/* Copies at most `size` of the instruction's bytes; returns how many. */
size_t ttd_api_instruction_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t size);

/* Reads guest memory at a virtual address; returns false if that fails. As above. */
bool ttd_api_read_memory(uint64_t address, uint8_t *bytes, size_t size);

/* Reads the words on top of the guest's stack. As above. */
bool ttd_api_read_stack(uint64_t *words, size_t count);

/* In a memory callback: the value read or written, low half first. Returns its size in bytes. */
unsigned ttd_api_memory_value(qemu_plugin_meminfo_t info, uint64_t value[2]);

/* QEMU's own instruction count, if this binary exports the function, which is no part of the plugin interface. Call it
 * only while no vCPU executes: from a flush callback. */
bool ttd_api_engine_icount(uint64_t *icount);

#endif
