/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * console.c - see console.h.
 */
#include "console.h"

#include "cpu.h"

#define TRANSMITTER_EMPTY 0x20
#define DEBUG_EXIT 0xf4

static void print_character(char character) {
    while ((port_read(SERIAL_LINE_STATUS) & TRANSMITTER_EMPTY) == 0) {
    }
    port_write(SERIAL_DATA, (uint8_t)character);
}

void print(const char *text) {
    while (*text) {
        print_character(*text++);
    }
}

void print_value(const char *name, uint64_t value) {
    static const char digits[] = "0123456789abcdef";
    print(name);
    print_character('=');
    for (int shift = 60; shift >= 0; shift -= 4) {
        print_character(digits[value >> shift & 15]);
    }
    print_character('\n');
}

void power_off(uint8_t status) {
    port_write(DEBUG_EXIT, status);
}
