/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * accesses.h - the records of instructions that read or change something outside of memory and general registers:
 * ports, clocks, cpuid, msr, random numbers, device memory; and context events, where the address space or the stack is
 * switched.
 *
 * What an instruction writes stands in registers when it begins, what it reads when the next one does. So the record of
 * a read, and a context event, wait until then (`unsettled`); they come before the transition that ends it, if one does:
 * their clock is that of the instruction. A read that did not complete - a fault - has a record without a value.
 */
#ifndef TTD_ACCESSES_H
#define TTD_ACCESSES_H

#include <stdbool.h>

#include "decode.h"
#include "qemu_plugin_api.h"
#include "transitions.h"

/* Whether values are wanted; they need registers that can be read. Before all others. */
void ttd_accesses_start(bool values);

/* Has the accesses of an instruction, number `index` of its block, recorded. `next` is the one behind it in the block, or
 * NULL. Returns false when there is no memory for it. */
bool ttd_accesses_watch(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address, uint8_t size,
                        uint16_t index, const struct ttd_instruction *decoded);

/* Likewise the context behind an instruction that loads cr3 or switches the stack. */
bool ttd_accesses_watch_context(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address,
                                uint8_t size, uint16_t index, const struct ttd_instruction *decoded);

/* Has the accesses of an instruction to device memory recorded. */
void ttd_accesses_watch_memory(struct qemu_plugin_insn *insn, uint64_t address);

/* An access is unsettled and a block is entered: before the recorder looks at it. */
void ttd_accesses_settle_behind(const struct ttd_block *block);

#endif
