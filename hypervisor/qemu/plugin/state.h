/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * state.h - state digests: hashes of the guest's registers at the end of every branch cell. They show a difference that
 * never reaches a branch. They need readable registers (API 4).
 *
 * A difference often passes through the registers into memory long before a cell ends. So the general registers are
 * sampled every TTD_STATE_SAMPLE branches, and their word is a hash of all samples of the cell. The other words describe
 * the cell's end. A cell whose begin was not recorded has no digest.
 */
#ifndef TTD_STATE_H
#define TTD_STATE_H

#include <stdint.h>

#define TTD_STATE_SAMPLE 512u /* clocks from one sample of the general registers to the next */
#define TTD_STATE_CELL 65536u /* clocks from one digest to the next: the branch cells of the log's grid */

/* Samples the registers, and at the end of a cell writes the state event. Call it at every clock that is a multiple of
 * TTD_STATE_SAMPLE, when the vCPU is about to begin the instruction at `ip`, the first of a block. */
void ttd_state_look(uint64_t ip, uint64_t icount);

/* Sets the clock. The current cell has no digest, unless it begins here. */
void ttd_state_begin(uint64_t clock);

#endif
