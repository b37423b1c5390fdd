/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nested.h - records only what runs inside VMRUN: the guest of a hypervisor that the emulated machine runs.
 *
 * The guest begins after a VMRUN, and ends at the instruction after it. What the hypervisor does in between is neither
 * counted nor recorded, so an exit is no transition if the guest goes on at the next instruction. All guests of the
 * machine share the log. API 1 only.
 *
 * With `marked`, records begin at a block with the guest's instruction nopl 0x2b647474(%rax) ("ttd+"), and end before a block
 * with nopl 0x2d647474(%rax) ("ttd-"): so the log holds a stretch of a long run, again in each run of the same guest.
 */
#ifndef TTD_NESTED_H
#define TTD_NESTED_H

#include "recorder.h"

/* Before the first block is translated. */
void ttd_nested_begin(bool is_marked);

/* Requests the callbacks of one translated block, whose description is `block`. `size` is that of its last instruction. */
void ttd_nested_watch(struct qemu_plugin_tb *tb, const struct ttd_block *block, const uint8_t *last_bytes, uint8_t size);

#endif
