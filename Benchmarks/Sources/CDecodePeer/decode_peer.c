/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decode_peer.h"

#include <string.h>

static uint64_t load(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

void decode_peer(const uint8_t *control, const uint8_t *from_column, const uint8_t *to_column, size_t count,
                 uint64_t *from, uint64_t *to) {
    static const uint8_t from_size[4] = {1, 2, 4, 8}, to_size[4] = {1, 2, 3, 8};
    uint64_t previous_to = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned nibble = control[i / 2] >> (i % 2 ? 4 : 0);
        unsigned size = from_size[nibble & 3], unused = 64 - 8 * size;
        from[i] = previous_to + (load(from_column) << unused >> unused);
        from_column += size;
        size = to_size[nibble >> 2 & 3];
        unused = 64 - 8 * size;
        to[i] = previous_to = from[i] + (uint64_t)((int64_t)(load(to_column) << unused) >> unused);
        to_column += size;
    }
}
