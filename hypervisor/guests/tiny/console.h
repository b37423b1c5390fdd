/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * console.h - text on the first serial line, and the end of the run.
 */
#ifndef TINY_CONSOLE_H
#define TINY_CONSOLE_H

#include <stdint.h>

#define SERIAL_DATA 0x3f8
#define SERIAL_INTERRUPT_ENABLE 0x3f9
#define SERIAL_LINE_STATUS 0x3fd

void print(const char *text);

/* "name=0123456789abcdef": always 16 digits from a table, so that the value does not change which branches run. */
void print_value(const char *name, uint64_t value);

/* Ends QEMU through its isa-debug-exit device: exit status 2 * status + 1. */
void power_off(uint8_t status);

#endif
