/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structures of the Arrow C data interface and the Arrow C stream interface, written from their specification:
 *   https://arrow.apache.org/docs/format/CDataInterface.html
 *   https://arrow.apache.org/docs/format/CStreamInterface.html
 *
 * Ownership: whoever holds a structure calls its `release` once; a structure whose `release` is NULL holds nothing. A
 * child may be moved out of its parent (copied, and `release` of the copied-from structure set to NULL).
 *
 * The guards are those that the specification names, so that this header and another definition may be included in one
 * file.
 */
#ifndef TT_ARROW_ABI_H
#define TT_ARROW_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

/* A type: of a column, or of a record batch, whose children are the columns. */
struct ArrowSchema {
    const char *format; /* "l": signed 64 bits, "u": UTF-8 text, "+s": struct, ... */
    const char *name;
    const char *metadata;
    int64_t flags; /* ARROW_FLAG_* */
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary; /* type of the values, where `format` is the type of the indexes */
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

/* The values of a column or of a record batch. */
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers; /* validity bitmap or NULL, then what the type asks for */
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

/* Record batches of one type, one after the other. The two callbacks return 0, or an errno and a sentence. */
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out); /* at the end: out->release is NULL */
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

#ifdef __cplusplus
}
#endif

#endif
