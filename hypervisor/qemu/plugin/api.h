/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * api.h - the face that the rest of the plugin sees of QEMU's plugin interface, the same for every generation.
 * What differs between generations is in api.c and nowhere else.
 */
#ifndef TTD_API_H
#define TTD_API_H

#include "qemu_plugin_api.h"

/* The plugin API generation that this QEMU process offers, guessed before QEMU tells: 1, 4 or 7. */
int ttd_api_generation(void);

/* Whether this plugin works in the QEMU that `info` describes. If not, `message` says why, for people. */
bool ttd_api_accepts(const qemu_info_t *info, char *message, size_t size);

/* Adds `count` to *counter each time the instruction begins executing. */
void ttd_api_count_instructions(struct qemu_plugin_insn *insn, uint64_t *counter, uint64_t count);

/* Copies at most `size` of the instruction's bytes; returns how many. */
size_t ttd_api_instruction_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t size);

/* QEMU's own instruction count, if this binary lets itself be asked (a courtesy without promise: the function is no
 * part of the plugin interface). Call it only while no vCPU executes: from a flush callback. */
bool ttd_api_engine_icount(uint64_t *icount);

#endif
