/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Declarations that the files of the writer share. They are not part of an interface.
 *
 * A *track* is one stream of one vCPU, or the meta stream. It has two slots in the open file; one of them takes records.
 * A full slot enters the writer's queue. The *sealer* (a helper thread, or the caller with inline_sealing) makes a chunk
 * of it, writes the chunk to the log and frees the slot.
 *
 * Ownership: a track belongs to its vCPU's thread (meta: to the holder of meta_lock). `lock` protects `busy` and the
 * queue. Everything in struct ttlog_sink belongs to the sealer (inline: to the holder of seal_lock).
 */
#ifndef TTLOG_INTERNAL_H
#define TTLOG_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#include "ttlog_writer.h"

struct ZSTD_CCtx_s;

/* The most chunk headers in a directory. After that number a directory and a trailer are written. */
#define TTLOG_DIRECTORY_CHUNKS 4096u
/* The open file has a reserve at its end: its size divided by this number. The writer releases the reserve if the disk is
 * full at the close. The reserve holds both slots of every stream, uncompressed, unless most addresses are far apart. */
#define TTLOG_OPEN_RESERVE_PART 5u

#define TTLOG_TRACKS_PER_VCPU 3u

struct ttlog_track;

struct ttlog_slot {
    struct ttlog_slot_header *header;
    void *units;
    uint32_t capacity;
    int busy; /* queued and not sealed yet */
    struct ttlog_track *track;
};

struct ttlog_track {
    struct ttlog_slot slot[2];
    ttlog_writer *writer;
    uint8_t stream;
    uint8_t current;  /* the slot that takes records, or took them last */
    uint8_t is_open;  /* slot[current] takes records */
    uint8_t ended;    /* a record was dropped; all later ones are dropped too */
    uint16_t vcpu;
    uint8_t cell_shift;
    uint8_t has_cell; /* cell and part describe the last chunk of this epoch */
    uint32_t record_max;
    uint32_t epoch;
    uint32_t part;
    uint32_t records; /* in the open slot */
    uint64_t cell;
    uint64_t epoch_clock; /* the epoch's first clock */
    uint64_t clock;       /* of the last record */
    uint64_t ordinal;     /* records before the open slot */
    uint64_t lost;
    /* Events: the open slot. */
    struct ttlog_raw_event *next; /* the room of the next record */
    uint64_t *commit;
    uint64_t clock_end; /* the last clock of its cell */
    uint32_t room;      /* records that it takes; 0 if no slot is open */
    uint32_t payload;   /* compared bytes in it */
    /* Used by the sealer only. */
    uint64_t chain;
    uint32_t chain_epoch;
    uint8_t has_chain;
};

/* An encoded branch body that may be written at the close (mode digest). */
struct ttlog_kept {
    struct ttlog_chunk_header header;
    uint8_t *image; /* TTLOG_CHUNK_HEADER_SIZE bytes of room, then the raw body */
};

/* Makes the zstd frames of a body. */
struct ttlog_frames {
    struct ZSTD_CCtx_s *zstd;
    int level;
};

/* The log file, and the buffers for writing chunks to it. */
struct ttlog_sink {
    int fd;
    uint8_t codec;
    uint64_t nonce;
    uint64_t offset; /* of the next chunk */
    uint8_t *image;  /* room for a chunk header, then a raw body */
    size_t image_size;
    uint8_t *packed; /* the same for a compressed body */
    size_t packed_size;
    struct ttlog_frames frames;
    uint8_t *directory; /* room for a chunk header, then the headers of the next directory, then a trailer */
    uint32_t directory_count;
    uint32_t directory_part;
    uint64_t previous_trailer;
};

struct ttlog_writer {
    struct ttlog_file_header header;
    char *path;
    char *open_path;
    pid_t owner; /* a forked child must not touch the files */
    uint8_t appending;
    uint8_t nameless; /* the file has no name, and there is no open file */
    uint8_t has_lock;
    uint8_t has_helper;
    uint8_t inline_sealing;
    uint32_t sync_seconds;
    uint64_t window_from, window_to;

    int open_fd;
    uint8_t *open_map;
    size_t open_size; /* without the reserve */
    struct ttlog_open_header *open_header;

    uint32_t track_count; /* meta, then three for each vCPU */
    struct ttlog_track *tracks;
    ttlog_lane *lanes;
    uint64_t ticket;
    pthread_mutex_t meta_lock;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* signalled when a slot is queued or sealed, at an error and at the end */
    struct ttlog_slot **queue;
    uint32_t queue_size, queue_head, queue_count;
    int stop;
    int error; /* errno; atomic */
    uint64_t lost_before;       /* appending: records that the log lacks already */
    uint64_t recovered_lost[8]; /* records that a recovered log lacks, by stream */
    uint64_t append_begin;      /* appending: the log's size before */
    uint64_t stall_ns;
    pthread_mutex_t seal_lock;
    pthread_t helper;

    struct ttlog_sink sink;
    struct ttlog_kept *kept; /* a ring */
    uint32_t kept_size, kept_next, kept_count;
    uint64_t synced_ns;
};

/* Each file calls only files that are declared above it (scripts/c-layers checks this). */

/* ttlog_status.c: ttlog_writer.h */

/* ttlog_columns.c */
size_t ttlog_gather_columns(uint8_t *body, uint8_t *const *regions, const size_t *sizes, int columns);

/* ttlog_encode_*.c */
size_t ttlog_event_units(size_t payload_length, size_t private_length);

/* ttlog_file.c: files, locks, errors. */
int ttlog_fail(ttlog_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int ttlog_lock_file(int fd);
void ttlog_unlock_file(int fd);
int ttlog_read_all(int fd, void *bytes, size_t size, uint64_t offset);
int ttlog_write_all(int fd, const void *bytes, size_t size, uint64_t offset);
int ttlog_preallocate(int fd, uint64_t size);
uint64_t ttlog_monotonic_ns(void);
uint64_t ttlog_random(void);

/* ttlog_open.c: the open file. */
int ttlog_open_create(ttlog_writer *writer, ttlog_error *error);
int ttlog_open_anonymous(ttlog_writer *writer); /* slots without a file, for appending */
void ttlog_open_unmap(ttlog_writer *writer);

/* ttlog_frames.c: raw bodies to stored ones. */
int ttlog_frames_prepare(struct ttlog_frames *frames, int level);
void ttlog_frames_free(struct ttlog_frames *frames);
size_t ttlog_frames_bound(size_t body_size); /* the most that a body of that size takes */
/* Returns the stored size; 0 after an error. */
size_t ttlog_frames_compress(const struct ttlog_frames *frames, uint8_t stream, const uint8_t *raw, size_t raw_size,
                             uint8_t *stored, size_t capacity);

/* ttlog_sink.c: chunks to the log. */
int ttlog_sink_prepare(struct ttlog_sink *sink, size_t body_bound, int level);
void ttlog_sink_free(struct ttlog_sink *sink);
int ttlog_sink_chunk(struct ttlog_sink *sink, struct ttlog_chunk_header *header, uint8_t *image, uint64_t lost);
int ttlog_sink_list(struct ttlog_sink *sink, const struct ttlog_chunk_header *header, uint64_t lost);
int ttlog_sink_directory(struct ttlog_sink *sink, uint64_t lost, uint32_t flags);
uint64_t ttlog_chain(uint64_t previous, const struct ttlog_chunk_header *header);

/* ttlog_seal.c: slots to chunks, the queue and the helper thread. */
int ttlog_helper_start(ttlog_writer *writer);
void ttlog_helper_stop(ttlog_writer *writer);
void ttlog_queue_slot(ttlog_writer *writer, struct ttlog_slot *slot);
int ttlog_queue_drain(ttlog_writer *writer);
int ttlog_wait_free(ttlog_writer *writer, struct ttlog_slot *slot);
int ttlog_write_kept(ttlog_writer *writer);

/* ttlog_setup.c: what creating and appending share. */
ttlog_writer *ttlog_writer_allocate(const char *path);
void ttlog_writer_free(ttlog_writer *writer);
int ttlog_open_log(ttlog_writer *writer, int create, ttlog_error *error);
int ttlog_set_up_tracks(ttlog_writer *writer);
size_t ttlog_largest_body(const ttlog_writer *writer);

/* ttlog_track.c: records to slots (ttlog_writer.h). */
int ttlog_track_open_slot(struct ttlog_track *track, uint64_t clock);
void ttlog_track_close_slot(struct ttlog_track *track, uint32_t tail_flags);
void ttlog_track_count_lost(struct ttlog_track *track, uint64_t records);
int ttlog_track_write(struct ttlog_track *track, const ttlog_event *event);
void ttlog_track_finish(struct ttlog_track *track, uint64_t end_clock);

/* ttlog_lane.c: branches to slots. */
void ttlog_lane_close_slot(ttlog_lane *lane, uint32_t tail_flags);

/* ttlog_writer.c: events, meta records, epochs. */
void ttlog_write_lost(ttlog_writer *writer, uint8_t stream, uint16_t vcpu, uint64_t records, uint64_t clock);
void ttlog_vcpu_finish(ttlog_writer *writer, uint16_t vcpu);

/* ttlog_scan.c: the contents of an existing log. */
struct ttlog_scan_entry {
    uint64_t offset;
    uint64_t cell;
    uint32_t epoch, part, flags;
    uint16_t vcpu;
    uint8_t stream;
};

struct ttlog_scan {
    int fd;
    uint64_t nonce;
    uint64_t size; /* of the file */
    struct ttlog_scan_entry *entries; /* chunks, without directories, in file order */
    size_t count, capacity;
    uint64_t end;          /* after the last intact chunk or trailer */
    uint64_t last_trailer; /* 0: none */
    uint32_t trailer_flags;
    uint64_t lost;         /* in the last trailer */
    uint64_t records;      /* events, accesses and meta records in all chunks */
    uint64_t ticket_end;   /* according to the chunk headers, every ticket is smaller */
    uint32_t directories;
    uint8_t uses_zstd;
};

int ttlog_scan_log(struct ttlog_scan *scan);
int ttlog_scan_header(const struct ttlog_scan *scan, size_t index, struct ttlog_chunk_header *header);

/* ttlog_left_open.c: the open file that a dead writer left. */
struct ttlog_found_slot {
    struct ttlog_slot_descriptor descriptor;
    struct ttlog_slot_header header;
    uint32_t units;     /* of whole records, never 0 */
    uint64_t end_clock; /* branches: one past the last record's clock; events: the last record's clock */
};

struct ttlog_left_open {
    const struct ttlog_file_header *log;
    int fd;                          /* -1: there is no open file of this log */
    struct ttlog_open_header header; /* zeros without an open file */
    struct ttlog_found_slot *slots;  /* those in use, by stream and vCPU in the order of their records */
    size_t slot_count;
    void *units; /* the records of one slot */
};

int ttlog_left_open_read(struct ttlog_left_open *left_open, const char *path);
int ttlog_left_read_units(struct ttlog_left_open *left_open, const struct ttlog_found_slot *slot);
void ttlog_left_open_free(struct ttlog_left_open *left_open);
int ttlog_has_open_file(const ttlog_writer *writer);
unsigned ttlog_cell_shift(const struct ttlog_file_header *log, uint8_t stream);

/* ttlog_recover.c */
int ttlog_recover(ttlog_writer *writer, struct ttlog_scan *scan, ttlog_error *error);

/* Above them: ttlog_create.c, ttlog_append.c, ttlog_close.c (ttlog_writer.h). */

#endif
