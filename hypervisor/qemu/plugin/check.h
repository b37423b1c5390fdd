/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * check.h - the test of transitions.c: finds every transition a second time, from a callback at every instruction, and
 * compares it with the record. The run takes several times as long.
 */
#ifndef TTD_CHECK_H
#define TTD_CHECK_H

#include "decode.h"
#include "qemu_plugin_api.h"

/* Checks the instruction each time it executes. Returns false without memory. */
bool ttd_check_instruction(struct qemu_plugin_insn *insn, uint64_t address, uint8_t size,
                           const struct ttd_instruction *decoded);

/* Compares the block's address with rip each time it is entered, where blocks are shared. Call it after the recorder's
 * own callback is registered. */
struct ttd_block;
void ttd_check_block(struct qemu_plugin_tb *tb, const struct ttd_block *block);

/* QEMU has dropped its translations. */
void ttd_check_flush(void);

/* Writes the result as attributes and on stderr. Call it before the log is closed. */
void ttd_check_report(void);

#endif
