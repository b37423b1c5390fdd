/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * accesses.h - the records of instructions that read or change state outside of memory and general registers: ports,
 * clocks, cpuid, msr, random numbers. Also context events: a switch of the address space or the stack.
 *
 * The value that an instruction writes is in registers when it begins; the value that it reads is in registers when the
 * next instruction begins. So the record of a read, and a context event, wait until then (`unsettled`). They are written
 * before the transition that ends the instruction, if there is one: their clock is that of the instruction. A read that
 * did not complete because of a fault has a record without a value.
 */
#ifndef TTD_ACCESSES_H
#define TTD_ACCESSES_H

#include <stdbool.h>

#include "decode.h"
#include "qemu_plugin_api.h"
#include "transitions.h"

/* Sets whether accesses carry values, which needs readable registers. Call it before all others. */
void ttd_accesses_start(bool values);

/* Records the accesses of an instruction, number `index` of its block. `next` is the following instruction of the block,
 * or NULL. Returns false without memory. */
bool ttd_accesses_watch(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address, uint8_t size,
                        uint16_t index, const struct ttd_instruction *decoded);

/* Records the context after an instruction that loads cr3 or switches the stack. */
bool ttd_accesses_watch_context(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address,
                                uint8_t size, uint16_t index, const struct ttd_instruction *decoded);

/* Takes the address space in which the guest is. */
void ttd_accesses_know_context(uint64_t cr3);

/* Forgets the last address space: the machine was reset. */
void ttd_accesses_forget_context(void);

/* Settles the access when a block is entered, before the recorder examines the block. */
void ttd_accesses_settle_at_block(const struct ttd_block *block);

#endif
