/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * echoes.c - another guest: it prints each character that the first serial port receives, until a 'q'. Each character
 * is the length of a loop, so that other input takes other branches.
 */
#include "console.h"
#include "cpu.h"

#define DATA_READY 0x01

static volatile uint32_t turns;

static void work(uint8_t character) {
    for (uint32_t turn = 0; turn < character; turn++) {
        turns++;
    }
}

void kernel_main(void) {
    char text[2] = "";
    print("echoes: ready\n");
    while (text[0] != 'q') {
        while ((port_read(SERIAL_LINE_STATUS) & DATA_READY) == 0) {
        }
        text[0] = (char)port_read(SERIAL_DATA);
        print(text);
        work((uint8_t)text[0]);
    }
    print("\n");
    power_off(0);
}
