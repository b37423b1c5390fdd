/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * causes.h - which transitions are interrupts, exceptions and faults, with vector, error code and CR2: from the
 * interrupt descriptor table and the frame that the processor has pushed. Needs registers and memory that can be read
 * (API 4). 64-bit code only: before the guest has loaded a table there, a discontinuity has no cause.
 */
#ifndef TTD_CAUSES_H
#define TTD_CAUSES_H

#include "qemu_plugin_api.h"
#include "transitions.h"

/* Watches a lidt instruction: it tells where the table is. */
void ttd_causes_watch_table(struct qemu_plugin_insn *lidt);

/* A transition was made, and the vCPU is about to begin the instruction at its `to`. Writes its cause as an event, if it
 * goes to a handler in the table. */
void ttd_causes_look(const struct ttd_transition *transition);

#endif
