/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decode_peer.h"

#include <string.h>

static uint64_t take_from(const uint8_t **column, unsigned code) {
    uint64_t value = 0;
    size_t size = (size_t)1 << code;
    memcpy(&value, *column, size);
    *column += size;
    return value;
}

static uint64_t take_to(const uint8_t **column, unsigned code) {
    int64_t value = 0;
    size_t size = code == 3 ? 8 : code + 1;
    memcpy(&value, *column, size);
    *column += size;
    unsigned unused = 64 - 8 * (unsigned)size;
    return (uint64_t)((int64_t)((uint64_t)value << unused) >> unused);
}

void decode_peer(const uint8_t *control, const uint8_t *from_column, const uint8_t *to_column, size_t count,
                 uint64_t *from, uint64_t *to) {
    uint64_t previous_to = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned nibble = control[i / 2] >> (i % 2 ? 4 : 0);
        from[i] = previous_to + take_from(&from_column, nibble & 3);
        to[i] = previous_to = from[i] + take_to(&to_column, nibble >> 2 & 3);
    }
}
