/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The raw body: a table of column sizes, then the columns without gaps.
 */
#include <string.h>

#include "ttlog_internal.h"

/* Moves a column to a lower address. The C library takes `rep movsb` for this; an emulator that counts instructions, as QEMU does
 * for Xen's figures, counts one a byte. */
static void move_down(uint8_t *to, const uint8_t *from, size_t size) {
    enum { PIECE = 32 };
    size_t at = 0;
    for (; at + PIECE <= size; at += PIECE) {
        uint64_t words[PIECE / sizeof(uint64_t)];
        memcpy(words, from + at, PIECE);
        memcpy(to + at, words, PIECE);
    }
    memmove(to + at, from + at, size - at);
}

size_t ttlog_gather_columns(uint8_t *body, uint8_t *const *regions, const size_t *sizes, int columns) {
    uint8_t *place = body + (size_t)columns * sizeof(uint32_t);
    for (int column = 0; column < columns; column++) {
        uint32_t size = (uint32_t)sizes[column];
        memcpy(body + (size_t)column * sizeof(size), &size, sizeof(size));
        if (place != regions[column])
            move_down(place, regions[column], size);
        place += size;
    }
    return (size_t)(place - body);
}
