/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog_writer.h - the writer of trace logs. The QEMU plugin and the Swift tools compile it in.
 *
 * Threads: one thread at a time makes the calls for one vCPU; different vCPUs may write at once. The writer's helper
 * thread seals full chunks (encodes, hashes, compresses, writes). No call ends the process: after an error the writer
 * drops records and counts them.
 */
#ifndef TTLOG_WRITER_H
#define TTLOG_WRITER_H

#include <stddef.h>

#include "ttlog.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ttlog_writer ttlog_writer;
struct ttlog_track; /* one stream of one vCPU */

/* An error: errno, and a sentence that names the file. */
typedef struct ttlog_error {
    int code;
    char message[512];
} ttlog_error;

typedef struct ttlog_options {
    /* Header fields. Zero selects the default that the comment gives. */
    uint16_t machine;               /* 62, x86-64 */
    uint8_t run_kind;               /* enum ttlog_run_kind */
    uint8_t clock;                  /* TTLOG_CLOCK_TRANSITIONS */
    uint8_t mode;                   /* enum ttlog_mode */
    uint8_t event_cell_shift;       /* 20 */
    uint16_t vcpu_count;            /* 1 */
    uint64_t features;              /* TTLOG_FEATURE_*; no default */
    uint8_t recording_uuid[16];
    uint16_t recorder;
    uint16_t recorder_generation;
    const char *recorder_name;      /* may be NULL */
    uint64_t clock_base;
    uint64_t icount_base;
    uint32_t event_chunk_max;       /* 4096 */
    uint32_t access_chunk_max;      /* 16384 */
    /* How it is written. */
    uint8_t codec;                  /* enum ttlog_codec; the zero value is RAW */
    int8_t compression_level;       /* 1 */
    uint8_t inline_sealing;         /* no helper thread: the caller seals (tests, small tools) */
    uint8_t branch_cell_shift;      /* 16; tests use smaller ones */
    uint32_t kept_cells;            /* mode digest: number of last branch bodies that stay; 8 */
    uint64_t window_from, window_to; /* mode digest: bodies of cells that overlap [from, to) stay; 0, 0 = none */
    uint32_t sync_seconds;          /* interval of fdatasync; 0 = never */
    uint64_t nonce;                 /* 0 = random; tests set it */
    uint64_t created_unix_ns;       /* 0 = now */
    uint8_t machine_unknown;        /* the header's machine is 0; for tools that import */
} ttlog_options;

/* The open branch slot of one vCPU. Callers use ttlog_branch(); the fields belong to the writer. */
typedef struct ttlog_lane {
    struct ttlog_raw_branch *next;
    struct ttlog_raw_branch *end; /* == next if there is no room, or no branch stream */
    uint64_t *commit;             /* the slot's commit word */
    uint64_t commit_value;
    uint64_t clock;               /* transitions so far: the clock of the next branch, of the next event */
    uint64_t *live_branches;      /* a counter in the open header; see ttlog_lane_publish */
    ttlog_writer *writer;
    uint16_t vcpu;
    uint8_t branches_off;         /* mode events, or the logging has ended */
} ttlog_lane;

/* One event, access or meta record to write. The writer assigns the ticket. */
typedef struct ttlog_event {
    uint16_t kind;
    uint16_t validity;
    uint16_t payload_length; /* compared bytes at `payload` */
    uint16_t private_length; /* at most TTLOG_PRIVATE_MAX bytes at `private_payload` */
    uint32_t info;
    uint64_t clock;
    uint64_t icount;
    uint64_t ip;
    uint64_t aux;
    uint64_t tsc;
    const void *payload;
    const void *private_payload;
} ttlog_event;

/* Creates the log and its open file. Fails if a writer holds the log. On failure returns NULL and fills *error. */
ttlog_writer *ttlog_writer_create(const char *path, const ttlog_options *options, ttlog_error *error);

/* Writes a log to a file that has no name (O_TMPFILE, or unlinked); the descriptor stays the caller's. There is no open
 * file: when the process ends, the file is gone, unless the caller has linked it. `name` is for messages. */
ttlog_writer *ttlog_writer_create_nameless(int fd, const char *name, const ttlog_options *options, ttlog_error *error);

/* Opens a finished log to append meta records; no other record can be appended. If the log is unclosed and its writer is
 * dead, the call first seals it: its open slots become chunks flagged RECOVERED, with a directory and a trailer. */
ttlog_writer *ttlog_writer_append(const char *path, ttlog_error *error);

/* The lane of a vCPU, or NULL if there is no such vCPU. */
ttlog_lane *ttlog_writer_lane(ttlog_writer *writer, uint16_t vcpu);

/* Seals the lane's full slot and opens the next one. Returns 0 if there is room for a record. */
int ttlog_lane_roll(ttlog_lane *lane);

/* Writes the branch with clock lane->clock and advances the clock. In mode events it only advances the clock. At clock
 * 2^64 - 1 the branch is lost and the clock stays: the clock after it would be 0. */
static inline void ttlog_branch(ttlog_lane *lane, uint64_t from, uint64_t to, uint64_t icount, uint8_t label) {
    if (__builtin_expect(lane->next == lane->end, 0) && ttlog_lane_roll(lane) != 0) {
        lane->clock++;
        return;
    }
    struct ttlog_raw_branch *record = lane->next++;
    record->from = from;
    record->to = to;
    record->icount_label = icount << 8 | label;
    lane->clock++;
    __atomic_store_n(lane->commit, ++lane->commit_value, __ATOMIC_RELEASE);
}

/* Writes many branches (icount_label as in ttlog_raw_branch). */
void ttlog_branches(ttlog_lane *lane, const struct ttlog_raw_branch *records, size_t count);

/* Writes an event or access record. stream is TTLOG_STREAM_EVENT or TTLOG_STREAM_ACCESS. Clocks must not fall inside an
 * epoch. Returns 0, or -1 if the record was dropped and counted as lost. */
int ttlog_write_event(ttlog_writer *writer, uint8_t stream, uint16_t vcpu, const ttlog_event *event);

/* The same in two steps, for many records that are made in place. `begin` gives room in the open file: one
 * unit for the record, after it units for a payload of that length or a shorter one. The caller fills the unit except its ticket,
 * and the payload; private_length is 0, and validity has ICOUNT only if the log's features do. `commit` makes it a record of the
 * log. Without a commit nothing was written. Returns NULL if the record is dropped and counted as lost. */
struct ttlog_track *ttlog_track_of(ttlog_writer *writer, uint8_t stream, uint16_t vcpu);
struct ttlog_raw_event *ttlog_event_begin(struct ttlog_track *track, uint64_t clock, uint32_t payload_length);
void ttlog_event_commit(struct ttlog_track *track, struct ttlog_raw_event *raw);

/* Writes a meta record. Any thread may call it. */
int ttlog_write_meta(ttlog_writer *writer, const ttlog_event *event);
int ttlog_write_attribute(ttlog_writer *writer, const char *key, const char *value);

/* Marks a gap: seals the vCPU's open chunks and begins the next epoch at this clock. */
void ttlog_begin_epoch(ttlog_writer *writer, uint16_t vcpu, uint64_t clock);

/* Updates the live counters of the open header (clock, icount). It is cheap; once a cell is enough. The writer itself
 * updates the committed counts of the open header: events after each record, branches after each chunk. Exact counts
 * are in the commit words. */
void ttlog_lane_publish(ttlog_lane *lane, uint64_t icount);

/* errno of the error that ended the logging, or 0; the number of records lost so far. */
int ttlog_writer_error(const ttlog_writer *writer);
uint64_t ttlog_writer_lost(const ttlog_writer *writer);

/* How long callers have waited for the helper thread, in nanoseconds, over all vCPUs. */
uint64_t ttlog_writer_stall_ns(ttlog_writer *writer);

/* Seals everything, writes directory and trailer, removes the open file, frees the writer. After an error it tries
 * again with the open file's reserve of disk space. Records that cannot be written stay readable in the open file.
 * Returns 0 when the log is closed, with error->code 0, or, when the writing had failed meanwhile and records were
 * lost, with that errno and a sentence in error. Returns -1 with error filled when the log could not be closed. */
int ttlog_writer_close(ttlog_writer *writer, ttlog_error *error);

/* Drops the writer as a kill would: nothing is sealed, the open file stays. For tests. */
void ttlog_writer_abandon(ttlog_writer *writer);

/* ---- Pieces that readers need too. */
uint32_t ttlog_crc32c(uint32_t crc, const void *bytes, size_t size); /* begin with 0 */
uint64_t ttlog_hash(const void *bytes, size_t size, uint64_t seed);  /* XXH3-64 */
/* Decompresses the zstd frames of a body. Returns 0 only when exactly raw_size bytes came out. */
int ttlog_decompress(void *raw, size_t raw_size, const void *stored, size_t stored_size);
/* Encodes records into a raw body and fills the header fields that follow from them (raw_size, private_size, count,
 * clocks, icounts, ticket, digests; not chain, cell, offsets). body holds at least the bound's bytes. */
size_t ttlog_branch_body_bound(size_t count);
size_t ttlog_encode_branches(const struct ttlog_raw_branch *records, size_t count, uint64_t clock_first, int with_icount,
                             uint8_t *body, struct ttlog_chunk_header *header);
size_t ttlog_event_body_bound(size_t units);
/* records: raw units as in a slot. Returns 0 when they are malformed. */
size_t ttlog_encode_events(const void *records, size_t units, uint8_t *body, struct ttlog_chunk_header *header);

#ifdef __cplusplus
}
#endif
#endif
