/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * causes.h - finds which transitions are interrupts, exceptions and faults, with vector, error code and CR2. It uses the
 * interrupt descriptor table and the frame that the processor has pushed, so it needs readable registers and memory
 * (API 4). 64-bit code only: before the guest loads a table in 64-bit mode, a discontinuity has no cause.
 */
#ifndef TTD_CAUSES_H
#define TTD_CAUSES_H

#include "qemu_plugin_api.h"
#include "transitions.h"

/* Watches a lidt instruction, which loads the address of the table. */
void ttd_causes_watch_table(struct qemu_plugin_insn *lidt);

/* Takes the address and the limit of the table that the guest has loaded already. */
void ttd_causes_know_table(uint64_t base, uint32_t limit);

/* Forgets the table: the machine was reset. */
void ttd_causes_forget_table(void);

/* Writes the cause of a transition as an event, if it goes to a handler in the table. Call it when the vCPU is about to
 * begin the instruction at `to`. */
void ttd_causes_look(const struct ttd_transition *transition);

#endif
