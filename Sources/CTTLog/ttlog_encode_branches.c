/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Branch records to the columns of a branch body (enum ttlog_branch_column).
 *
 * The loop has no branch that depends on the data: every value is stored with a full 8-byte store and the cursor
 * moves on by the length that its code says. Hence each column is written into a region of its greatest size, and
 * the columns are moved together at the end.
 */
#include <string.h>

#include "ttlog_internal.h"

enum { SLACK = 8 }; /* an 8-byte store may reach beyond the last value */

size_t ttlog_branch_body_bound(size_t count) {
    size_t half = (count + 1) / 2;
    return TTLOG_BRANCH_COLUMNS * (sizeof(uint32_t) + SLACK) + half + 8 * count + 8 * count + half + count + count +
           8 * count;
}

static const uint8_t label_of_nibble[TTLOG_LABEL_NIBBLE_ESCAPE] = TTLOG_LABEL_NIBBLES;

/* Length codes by the number of leading zero bits. */
struct code_tables {
    uint8_t from_code[64], from_size[64];
    uint8_t to_code[64], to_size[64];
    uint8_t nibble_of_label[256];
};

static void fill_tables(struct code_tables *tables) {
    static const uint8_t from_sizes[4] = {1, 2, 4, 8};
    static const uint8_t to_sizes[4] = {1, 2, 3, 8};
    for (int zeros = 0; zeros < 64; zeros++) {
        int bits = 64 - zeros;
        int code = (bits > 8) + (bits > 16) + (bits > 32);
        tables->from_code[zeros] = (uint8_t)code;
        tables->from_size[zeros] = from_sizes[code];
        int signed_bits = bits + 1;
        code = (signed_bits > 8) + (signed_bits > 16) + (signed_bits > 24);
        tables->to_code[zeros] = (uint8_t)(code << 2);
        tables->to_size[zeros] = to_sizes[code];
    }
    memset(tables->nibble_of_label, TTLOG_LABEL_NIBBLE_ESCAPE, sizeof(tables->nibble_of_label));
    for (uint8_t nibble = 0; nibble < TTLOG_LABEL_NIBBLE_ESCAPE; nibble++)
        tables->nibble_of_label[label_of_nibble[nibble]] = nibble;
}

/* Where the loop stands in each column. */
struct branch_cursor {
    uint8_t *from, *to, *label_escape, *icount, *icount_escape;
    uint64_t previous_to, previous_icount;
};

/* Writes one record; returns its control nibble, and its label nibble << 4. */
static inline __attribute__((always_inline)) unsigned encode_one(struct branch_cursor *cursor,
                                                                 const struct code_tables *tables,
                                                                 const struct ttlog_raw_branch *record,
                                                                 int with_icount) {
    uint64_t from = record->from - cursor->previous_to;
    uint64_t to = record->to - record->from;
    cursor->previous_to = record->to;
    uint64_t magnitude = to ^ (uint64_t)((int64_t)to >> 63);
    int from_zeros = __builtin_clzll(from | 1);
    /* A signed value that needs no bit but the sign counts as one bit: |1 changes no code. */
    int to_zeros = __builtin_clzll(magnitude | 1);
    memcpy(cursor->from, &from, sizeof(from));
    cursor->from += tables->from_size[from_zeros];
    memcpy(cursor->to, &to, sizeof(to));
    cursor->to += tables->to_size[to_zeros];

    uint8_t label = (uint8_t)record->icount_label;
    unsigned nibble = tables->nibble_of_label[label];
    *cursor->label_escape = label;
    cursor->label_escape += nibble == TTLOG_LABEL_NIBBLE_ESCAPE;

    if (with_icount) {
        uint64_t icount = record->icount_label >> 8;
        uint64_t step = icount - cursor->previous_icount;
        cursor->previous_icount = icount;
        *cursor->icount++ = (uint8_t)(step < 255 ? step : 255);
        memcpy(cursor->icount_escape, &step, sizeof(step));
        cursor->icount_escape += step >= 255 ? 8 : 0;
    }
    return (unsigned)tables->from_code[from_zeros] | tables->to_code[to_zeros] | nibble << 4;
}

static inline __attribute__((always_inline)) void encode_all(struct branch_cursor *cursor,
                                                             const struct code_tables *tables,
                                                             const struct ttlog_raw_branch *records, size_t count,
                                                             uint8_t *control, uint8_t *labels, int with_icount) {
    struct branch_cursor local = *cursor;
    size_t pairs = count / 2;
    for (size_t i = 0; i < pairs; i++) {
        unsigned even = encode_one(&local, tables, &records[2 * i], with_icount);
        unsigned odd = encode_one(&local, tables, &records[2 * i + 1], with_icount);
        control[i] = (uint8_t)((even & 15) | (odd & 15) << 4);
        labels[i] = (uint8_t)(even >> 4 | (odd & 0xf0));
    }
    if (count % 2 != 0) {
        unsigned last = encode_one(&local, tables, &records[count - 1], with_icount);
        control[pairs] = (uint8_t)(last & 15);
        labels[pairs] = (uint8_t)(last >> 4);
    }
    *cursor = local;
}

size_t ttlog_encode_branches(const struct ttlog_raw_branch *records, size_t count, uint64_t clock_first, int with_icount,
                             uint8_t *body, struct ttlog_chunk_header *header) {
    if (count == 0 || count > TTLOG_BRANCH_CHUNK_LIMIT)
        return 0;
    struct code_tables tables;
    fill_tables(&tables);

    size_t half = (count + 1) / 2;
    uint8_t *region[TTLOG_BRANCH_COLUMNS];
    const size_t region_size[TTLOG_BRANCH_COLUMNS] = {half, 8 * count, 8 * count, half, count, count, 8 * count};
    uint8_t *place = body + TTLOG_BRANCH_COLUMNS * sizeof(uint32_t);
    for (int column = 0; column < TTLOG_BRANCH_COLUMNS; column++) {
        region[column] = place;
        place += region_size[column] + SLACK;
    }

    struct branch_cursor cursor = {
        .from = region[TTLOG_BCOL_FROM],
        .to = region[TTLOG_BCOL_TO],
        .label_escape = region[TTLOG_BCOL_LABEL_ESCAPE],
        .icount = region[TTLOG_BCOL_ICOUNT],
        .icount_escape = region[TTLOG_BCOL_ICOUNT_ESCAPE],
        .previous_to = 0,
        .previous_icount = records[0].icount_label >> 8,
    };
    if (with_icount)
        encode_all(&cursor, &tables, records, count, region[TTLOG_BCOL_CONTROL], region[TTLOG_BCOL_LABEL], 1);
    else
        encode_all(&cursor, &tables, records, count, region[TTLOG_BCOL_CONTROL], region[TTLOG_BCOL_LABEL], 0);

    const size_t sizes[TTLOG_BRANCH_COLUMNS] = {
        half,
        (size_t)(cursor.from - region[TTLOG_BCOL_FROM]),
        (size_t)(cursor.to - region[TTLOG_BCOL_TO]),
        half,
        (size_t)(cursor.label_escape - region[TTLOG_BCOL_LABEL_ESCAPE]),
        (size_t)(cursor.icount - region[TTLOG_BCOL_ICOUNT]),
        (size_t)(cursor.icount_escape - region[TTLOG_BCOL_ICOUNT_ESCAPE]),
    };
    size_t size = ttlog_gather_columns(body, region, sizes, TTLOG_BRANCH_COLUMNS);

    header->stream = TTLOG_STREAM_BRANCH;
    header->count = (uint32_t)count;
    header->raw_size = (uint32_t)size;
    header->private_size = 0;
    header->clock_first = clock_first;
    header->clock_last = clock_first + count - 1;
    header->icount_first = with_icount ? records[0].icount_label >> 8 : 0;
    header->icount_last = with_icount ? records[count - 1].icount_label >> 8 : 0;
    const uint8_t *path = body + TTLOG_BRANCH_COLUMNS * sizeof(uint32_t);
    size_t path_size = sizes[TTLOG_BCOL_CONTROL] + sizes[TTLOG_BCOL_FROM] + sizes[TTLOG_BCOL_TO];
    size_t label_size = sizes[TTLOG_BCOL_LABEL] + sizes[TTLOG_BCOL_LABEL_ESCAPE];
    size_t position_size = sizes[TTLOG_BCOL_ICOUNT] + sizes[TTLOG_BCOL_ICOUNT_ESCAPE];
    header->digest[TTLOG_CLASS_PATH] = ttlog_hash(path, path_size, count);
    header->digest[TTLOG_CLASS_LABEL] = ttlog_hash(path + path_size, label_size, count);
    header->digest[TTLOG_CLASS_POSITION] = ttlog_hash(path + path_size + label_size, position_size, count);
    header->digest[TTLOG_CLASS_PAYLOAD] = 0;
    return size;
}
