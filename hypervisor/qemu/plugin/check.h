/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * check.h - the proof of transitions.c: every transition found a second time, from a callback at every single
 * instruction (several times as slow), and compared with what was written.
 */
#ifndef TTD_CHECK_H
#define TTD_CHECK_H

#include "decode.h"
#include "qemu_plugin_api.h"

/* Has the instruction checked when it executes. Returns false when there is no memory for it. */
bool ttd_check_instruction(struct qemu_plugin_insn *insn, uint64_t address, uint8_t size,
                           const struct ttd_instruction *decoded);

/* Has the block's address compared with rip each time it is entered (where blocks are shared). Behind the recorder's own
 * callback. */
struct ttd_block;
void ttd_check_block(struct qemu_plugin_tb *tb, const struct ttd_block *block);

/* QEMU has dropped its translations. */
void ttd_check_flush(void);

/* Writes what came out as attributes and on stderr; before the recorder is finished. */
void ttd_check_report(void);

#endif
