/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * clocks.c - another guest: it reads the real-time clock, works for three million instructions, and then decides by what
 * it has read. A changed clock is seen in its branches long after its cause.
 */
#include "console.h"
#include "cpu.h"

static volatile uint8_t seconds;
static volatile uint32_t sum;

void kernel_main(void) {
    print("clocks: begin\n");
    port_write(0x70, 0);
    seconds = port_read(0x71);
    for (uint32_t i = 0; i < 400000; i++) {
        sum = sum * 31 + i;
    }
    if (seconds & 1) {
        __asm__ volatile("nop");
    }
    print("clocks: end\n");
    power_off(0);
}
