/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * halts.c - another guest: it stops forever. When kernel_main returns, boot.S halts with interrupts off.
 */
#include "console.h"

void kernel_main(void) {
    print("halts: now\n");
}
