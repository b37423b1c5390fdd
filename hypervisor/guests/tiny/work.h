/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * work.h - work to record: recursion, loops with data-dependent branches, calls through pointers.
 */
#ifndef TINY_WORK_H
#define TINY_WORK_H

#include <stdint.h>

uint32_t fibonacci(uint32_t n);
uint32_t ackermann(uint32_t m, uint32_t n);

/* Sorts 512 numbers that depend on `seed`; returns the median. */
uint32_t sort_numbers(uint32_t seed);

/* `turns` calls through a table of functions. */
uint32_t call_through_table(uint32_t value, uint32_t turns);

#endif
