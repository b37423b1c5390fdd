/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * loaded.c - another guest: a byte that QEMU's loader device put at LOADED is the length of a loop.
 */
#include "console.h"

#define LOADED 0x1000000

static volatile uint32_t turns;

void kernel_main(void) {
    uint8_t count = *(volatile uint8_t *)LOADED;
    for (uint32_t turn = 0; turn < count; turn++) {
        turns++;
    }
    print_value("loaded", count);
    power_off(0);
}
