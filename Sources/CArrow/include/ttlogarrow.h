/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libttlogarrow.so: logs of virtual machines as Arrow streams.
 *
 *     ttla_log *log;
 *     struct ttla_error error = {0};
 *     if (ttla_open("run", &log, &error) != 0) { fprintf(stderr, "%s\n", error.message); ... }
 *     struct ArrowArrayStream branches;
 *     struct ttla_request request = {.size = sizeof request, .vcpu = -1, .to = UINT64_MAX, .columns = "from,to"};
 *     if (ttla_stream(log, "branches", &request, &branches, &error) == 0) {
 *         struct ArrowArray batch;
 *         while (branches.get_next(&branches, &batch) == 0 && batch.release) { ...; batch.release(&batch); }
 *         branches.release(&branches);
 *     }
 *     ttla_close(log);
 *
 * Whole programs: Examples/arrow/count.c, and Examples/arrow/targets.rs in Rust. docs/fleets.md has the calls in R (nanoarrow) and
 * Julia (ccall). The Python package ttlog uses this header's functions through ctypes.
 *
 * Conventions
 * - Functions that can fail return 0, or TTLA_FAILED with *error filled. `error` may be NULL.
 * - Text is UTF-8. A `char *` that a function returns is the caller's: ttla_free releases it. JSON holds counters as decimal
 *   and addresses as hexadecimal strings, because many readers lose integers above 2^53.
 * - Columns of numbers are signed 64-bit integers ("l"), vcpu and epoch 32-bit ones ("i"). An address above 2^63 is
 *   negative; its bits are right. Every column is nullable.
 * - All functions may be called from several threads, also on the same log. A stream belongs to one thread at a time.
 * - A stream keeps its log open: ttla_close may come first. A batch, or a column moved out of it, outlives its stream.
 * - Damage: a stream of a damaged, truncated or incomplete log yields what comes before, and then fails in get_next with a
 *   sentence that names the file and the offset. With TTLA_SKIP_DAMAGE it goes on instead; ttla_count_missing counts
 *   what is missing, and the stream "damage" lists it.
 */
#ifndef TTLOGARROW_H
#define TTLOGARROW_H

#include "arrow_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface; ttla_abi_version returns the library's. From the first release on, functions are added under the
 * same version; a function that is changed or removed makes another version. */
#define TTLA_ABI_VERSION 1

/* The result of a function that failed. */
#define TTLA_FAILED 1

/* An opened log, or run directory, or file of a foreign format, which is imported on opening. */
typedef struct ttla_log ttla_log;
/* How two logs relate. */
typedef struct ttla_divergence ttla_divergence;
/* The symbol files of a run, each where it was loaded. */
typedef struct ttla_symbols ttla_symbols;

/* Why a function failed. ttla_error_clear frees the texts. */
typedef struct ttla_error {
    char *message;  /* one sentence with file, offset, what was expected, what was found */
    char *file;     /* the file it is about; NULL for none */
    int64_t offset; /* bytes from its beginning; -1 where the error is not about a place in a file */
} ttla_error;

/* Flags of a request. */
#define TTLA_SKIP_DAMAGE 1u   /* pass over what cannot be read, and count it */
#define TTLA_PLAIN_STRINGS 2u /* text columns instead of dictionaries, for consumers without dictionaries */

/* What a stream shall contain. Chosen before anything is decoded; of events and calls, a chunk is decoded whole, and columns that were
 * not chosen are not built. */
typedef struct ttla_request {
    uint32_t size;       /* sizeof(struct ttla_request) */
    uint32_t flags;      /* TTLA_* */
    int32_t vcpu;        /* -1: all, one after the other */
    uint32_t reserved;   /* 0 */
    uint64_t from;       /* the first clock (brctr) */
    uint64_t to;         /* the clock after the last one; UINT64_MAX: no end */
    const char *columns; /* names, separated by commas, in the order of the result; NULL: all */
    const char *kinds;   /* streams of events: only these kinds, separated by commas; NULL: all. One kind alone adds the
                            columns of its fields. */
    struct ttla_symbols *symbols; /* names the addresses of code; NULL: none. A column X of such addresses (is_code in ttla_columns)
                              has X_name (function and offset, as bts-dump prints it), X_function (without the offset) and
                              X_line (file:line). NULL for `columns` adds each X_name. Callers that were built before this
                              field existed state a smaller size. */
} ttla_request;

/* Flags of symbol files. */
#define TTLA_NO_CACHE 1u      /* neither read nor write tables of symbols in $XDG_CACHE_HOME/tt-analyze/symbols */
#define TTLA_LINKAGE_NAMES 2u /* names as the linker has them, not demangled */

/* The symbol files of a run, as the tools' options name them (docs/symbols.md). Lists end with NULL; NULL for a list: none. */
typedef struct ttla_symbol_files {
    uint32_t size;               /* sizeof(struct ttla_symbol_files) */
    uint32_t flags;              /* TTLA_NO_CACHE, TTLA_LINKAGE_NAMES */
    const char *const *kernels;  /* --symbols: FILE[@ADDRESS|+SLIDE][,FROM:TO] */
    const char *const *programs; /* --user: PROGRAM[@ADDRESS|+SLIDE] or a directory */
    const char *modules;         /* --modules: the directory of the kernel modules; NULL: none */
    const char *module_list;     /* their addresses (/proc/modules); NULL: the file `proc-modules` in the directory */
    const char *kaslr;           /* a slide, "auto" (NULL too) or "off" */
} ttla_symbol_files;

/* The version of the library's interface. */
int32_t ttla_abi_version(void);

/* Frees a text that a function returned; NULL is allowed. */
void ttla_free(char *text);
void ttla_error_clear(struct ttla_error *error);

/* Opens a log, a run directory, or a file of a foreign format (docs/import.md). Reads headers only. */
int32_t ttla_open(const char *path, ttla_log **out, struct ttla_error *error);
/* Closes a log; NULL is allowed. */
void ttla_close(ttla_log *log);
/* What the log holds, as a JSON object: path, format, completeness, features, counts by vCPU, damage. */
char *ttla_describe(ttla_log *log);

/* What streams with TTLA_SKIP_DAMAGE have left out so far, a truncated end of the file included. */
typedef struct ttla_missing {
    uint32_t size;        /* sizeof(struct ttla_missing), set by the caller */
    uint32_t parts;       /* damaged parts found on opening; the stream "damage" lists them as "structure" */
    uint64_t chunks;      /* chunks whose bodies cannot be decoded; each counts once, however many streams come to it */
    uint64_t records;     /* records that are known to be lost in these; how many a truncated file lacks is not known */
    uint64_t bytes;       /* the size of the parts in the file */
    uint64_t unwritten;   /* records that the recorder could not write */
    int64_t truncated_at; /* where the file ends too early: from there on nothing can be read; -1 if it does not */
} ttla_missing;
/* Counts what is missing. A part counts when a stream with TTLA_SKIP_DAMAGE has come to its end. */
void ttla_count_missing(ttla_log *log, struct ttla_missing *out);

/*
 * Opens a stream: "branches", "events", "accesses", "notes" (records about the run), "attributes", "chunks" (headers with
 * digests; no body is read), "damage", "calls", "edges". Costs nothing until it is read. `request` may be NULL.
 */
int32_t ttla_stream(ttla_log *log, const char *name, const struct ttla_request *request, struct ArrowArrayStream *out,
                    struct ttla_error *error);
/* The columns of a stream as a JSON array of objects: name, type, unit, summary, is_code. `kind`: as in a request; NULL: none.
 * NULL if there is no such stream or kind. */
char *ttla_columns(const char *name, const char *kind);

/*
 * Divides the clocks of a vCPU so that the parts of a stream ("branches", "events", "accesses") hold about equally many
 * records. Writes at most parts + 1 ascending bounds, and returns how many; the parts are bounds[i] ..< bounds[i + 1].
 * Returns 0 if the stream has no records. If the clock steps back (a rewound guest) there is one part.
 */
int32_t ttla_partitions(ttla_log *log, const char *name, int32_t vcpu, int32_t parts, uint64_t *bounds);

/* Compares two logs (docs/divergence.md). `context`: records to collect around the divergence; 0: only what finds the place,
 * and no call stack, which costs most of a comparison. */
int32_t ttla_diverge(ttla_log *original, ttla_log *replay, int32_t context, ttla_divergence **out,
                     struct ttla_error *error);
/* The verdict and the evidence as a JSON object: the document of `tt-analyze diverge --format json` (docs/divergence.md)
 * without names of addresses, settings and sentences (docs/fleets.md). */
char *ttla_divergence_json(ttla_divergence *divergence);
/* One row for each class of elements in which a vCPU's runs differ; no row for identical runs. */
void ttla_divergence_stream(ttla_divergence *divergence, struct ArrowArrayStream *out);
void ttla_divergence_free(ttla_divergence *divergence);

/*
 * Reads symbol files and places them in a run: the calls in `log` show the slide of a kernel and where programs were loaded.
 * `log` may be NULL: then only given places are used. The log may be closed afterwards.
 */
int32_t ttla_symbols_open(ttla_log *log, const struct ttla_symbol_files *files, ttla_symbols **out,
                          struct ttla_error *error);
/* The files with their places, and what was found or is wrong, as a JSON object: modules, notices. */
char *ttla_symbols_describe(ttla_symbols *symbols);
/* Streams keep their symbols: this may come first. NULL is allowed. */
void ttla_symbols_close(ttla_symbols *symbols);
/*
 * The names of addresses as a stream with one row each, in order: address, name, function, line (see ttla_request). `columns`:
 * names, separated by commas; NULL: all. `validity`: a bitmap, of which bit `offset + i` says whether addresses[i] is known;
 * NULL: all are. `flags`: TTLA_PLAIN_STRINGS. Addresses and bitmap are copied.
 */
int32_t ttla_names(ttla_symbols *symbols, const uint64_t *addresses, int64_t count, const uint8_t *validity, int64_t offset,
                   const char *columns, uint32_t flags, struct ArrowArrayStream *out, struct ttla_error *error);
/* The inline chains of addresses as a stream, one row a frame, the innermost function first: row (the number of the address),
 * depth, address, function, offset, file, line, is_inlined, module. An address that no file knows has no row. */
int32_t ttla_frames(ttla_symbols *symbols, const uint64_t *addresses, int64_t count, const char *columns,
                    struct ArrowArrayStream *out, struct ttla_error *error);

/* Decodes all branches and hands none out; returns how many. For measuring. `columns`: as in a request. -1: damage. */
int64_t ttla_scan(ttla_log *log, const char *columns);
/* Arrow structures that were handed out, and released, in this process. For tests: they are equal when nothing leaks. */
void ttla_struct_counts(int64_t *exported, int64_t *released);

/* A stream on the heap, empty, for a PyCapsule named "arrow_array_stream" with the destructor below. */
struct ArrowArrayStream *ttla_stream_new(void);
/* Releases the stream if nobody took it, and frees the structure. `capsule`: a PyObject *. */
void ttla_capsule_destructor(void *capsule);

#ifdef __cplusplus
}
#endif

#endif
