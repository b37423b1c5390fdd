/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encodes branch records into the columns of a branch body (enum ttlog_branch_column).
 *
 * The loop over the path has no branch that depends on the data: every value is stored with a full 8-byte store and
 * the cursor advances by the length of its code. So each column is written into a region of its greatest possible
 * size, and the columns are moved together at the end.
 */
#include <string.h>

#include "ttlog_internal.h"

enum { SLACK = 8 }; /* an 8-byte store may extend past the last value */

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

/* The position of the loops in each column. */
struct branch_cursor {
    uint8_t *control, *from, *to, *label, *label_escape, *icount, *icount_escape;
    uint64_t previous_to, previous_icount;
};

/* Writes from and to of one record; returns its control nibble. */
static inline __attribute__((always_inline)) unsigned encode_path(uint8_t **from_place, uint8_t **to_place,
                                                                  const struct code_tables *tables,
                                                                  uint64_t previous_to, uint64_t from, uint64_t to) {
    uint64_t from_value = from - previous_to;
    uint64_t to_value = to - from;
    uint64_t magnitude = to_value ^ (uint64_t)((int64_t)to_value >> 63);
    /* | 1 changes no code: 0 and 1 both take the shortest form. */
    int from_zeros = __builtin_clzll(from_value | 1);
    int to_zeros = __builtin_clzll(magnitude | 1);
    memcpy(*from_place, &from_value, sizeof(from_value));
    memcpy(*to_place, &to_value, sizeof(to_value));
    *from_place += tables->from_size[from_zeros];
    *to_place += tables->to_size[to_zeros];
    return (unsigned)tables->from_code[from_zeros] | tables->to_code[to_zeros];
}

static inline __attribute__((always_inline)) void encode_paths(struct branch_cursor *cursor,
                                                               const struct code_tables *tables,
                                                               const struct ttlog_raw_branch *records, size_t count) {
    uint8_t *from = cursor->from, *to = cursor->to, *control = cursor->control;
    uint64_t previous_to = cursor->previous_to;
    size_t pairs = count / 2;
    for (size_t i = 0; i < pairs; i++, records += 2) {
        uint64_t middle = records[0].to, last = records[1].to;
        unsigned even = encode_path(&from, &to, tables, previous_to, records[0].from, middle);
        unsigned odd = encode_path(&from, &to, tables, middle, records[1].from, last);
        control[i] = (uint8_t)(even | odd << 4);
        previous_to = last;
    }
    if (count % 2 != 0)
        control[pairs] = (uint8_t)encode_path(&from, &to, tables, previous_to, records[0].from, records[0].to);
    cursor->control = control + pairs;
    cursor->from = from;
    cursor->to = to;
    cursor->previous_to = previous_to;
}

static inline __attribute__((always_inline)) unsigned encode_label(uint8_t **escape, const struct code_tables *tables,
                                                                   uint8_t label) {
    unsigned nibble = tables->nibble_of_label[label];
    **escape = label;
    *escape += nibble == TTLOG_LABEL_NIBBLE_ESCAPE;
    return nibble;
}

static inline __attribute__((always_inline)) void encode_labels(struct branch_cursor *cursor,
                                                                const struct code_tables *tables,
                                                                const struct ttlog_raw_branch *records, size_t count) {
    uint8_t *escape = cursor->label_escape, *labels = cursor->label;
    size_t pairs = count / 2;
    for (size_t i = 0; i < pairs; i++, records += 2) {
        unsigned even = encode_label(&escape, tables, (uint8_t)records[0].icount_label);
        unsigned odd = encode_label(&escape, tables, (uint8_t)records[1].icount_label);
        labels[i] = (uint8_t)(even | odd << 4);
    }
    if (count % 2 != 0)
        labels[pairs] = (uint8_t)encode_label(&escape, tables, (uint8_t)records[0].icount_label);
    cursor->label = labels + pairs;
    cursor->label_escape = escape;
}

/* Encodes the steps of eight records at a time. Long steps, which need the second column, are rare. */
static inline __attribute__((always_inline)) void encode_icounts(struct branch_cursor *cursor,
                                                                 const struct ttlog_raw_branch *records, size_t count) {
    enum { GROUP = 8 };
    uint8_t *steps = cursor->icount, *escape = cursor->icount_escape;
    uint64_t previous = cursor->previous_icount;
    for (size_t done = 0; done < count; done += GROUP) {
        size_t size = count - done < GROUP ? count - done : GROUP;
        uint64_t step[GROUP] = {0};
        uint64_t all = 0;
        for (size_t i = 0; i < size; i++) {
            uint64_t icount = records[done + i].icount_label >> 8;
            step[i] = icount - previous;
            previous = icount;
            all |= step[i] | (step[i] + 1); /* has a bit above the low eight exactly if a step is 255 or more */
            steps[done + i] = (uint8_t)step[i];
        }
        if (all >> 8 == 0)
            continue;
        for (size_t i = 0; i < size; i++) {
            if (step[i] < 255)
                continue;
            steps[done + i] = 255;
            memcpy(escape, &step[i], sizeof(step[i]));
            escape += sizeof(step[i]);
        }
    }
    cursor->icount = steps + count;
    cursor->icount_escape = escape;
    cursor->previous_icount = previous;
}

/* Three loops, each with few cursors, read a block while it is in the first-level cache. Its size is even. */
enum { BLOCK = 512 };

static inline __attribute__((always_inline)) void encode_all(struct branch_cursor *cursor,
                                                             const struct code_tables *tables,
                                                             const struct ttlog_raw_branch *records, size_t count,
                                                             int with_icount) {
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t size = count - done < BLOCK ? count - done : BLOCK;
        encode_paths(cursor, tables, records + done, size);
        encode_labels(cursor, tables, records + done, size);
        if (with_icount)
            encode_icounts(cursor, records + done, size);
    }
}

static void encode_portable(struct branch_cursor *cursor, const struct code_tables *tables,
                            const struct ttlog_raw_branch *records, size_t count, int with_icount) {
    encode_all(cursor, tables, records, count, with_icount);
}

#if defined(__x86_64__)
/* The same with lzcnt: bsr takes several times as long. */
__attribute__((target("lzcnt,bmi,bmi2"))) static void encode_lzcnt(struct branch_cursor *cursor,
                                                                   const struct code_tables *tables,
                                                                   const struct ttlog_raw_branch *records, size_t count,
                                                                   int with_icount) {
    encode_all(cursor, tables, records, count, with_icount);
}
#endif

static void encode(struct branch_cursor *cursor, const struct code_tables *tables,
                   const struct ttlog_raw_branch *records, size_t count, int with_icount) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("bmi2")) {
        encode_lzcnt(cursor, tables, records, count, with_icount);
        return;
    }
#endif
    encode_portable(cursor, tables, records, count, with_icount);
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
        .control = region[TTLOG_BCOL_CONTROL],
        .label = region[TTLOG_BCOL_LABEL],
        .from = region[TTLOG_BCOL_FROM],
        .to = region[TTLOG_BCOL_TO],
        .label_escape = region[TTLOG_BCOL_LABEL_ESCAPE],
        .icount = region[TTLOG_BCOL_ICOUNT],
        .icount_escape = region[TTLOG_BCOL_ICOUNT_ESCAPE],
        .previous_to = 0,
        .previous_icount = records[0].icount_label >> 8,
    };
    encode(&cursor, &tables, records, count, with_icount);

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
