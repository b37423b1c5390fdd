/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The raw body: a table of column sizes, then the columns without gaps.
 */
#include <string.h>

#include "ttlog_internal.h"

size_t ttlog_gather_columns(uint8_t *body, uint8_t *const *regions, const size_t *sizes, int columns) {
    uint8_t *place = body + (size_t)columns * sizeof(uint32_t);
    for (int column = 0; column < columns; column++) {
        uint32_t size = (uint32_t)sizes[column];
        memcpy(body + (size_t)column * sizeof(size), &size, sizeof(size));
        if (place != regions[column])
            memmove(place, regions[column], size);
        place += size;
    }
    return (size_t)(place - body);
}
