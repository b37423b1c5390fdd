/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A new log: options to header, memory, files, helper thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ttlog_internal.h"

static uint64_t unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fill_header(struct ttlog_file_header *header, const ttlog_options *options) {
    header->magic = TTLOG_FILE_MAGIC;
    header->version = TTLOG_VERSION;
    header->header_size = TTLOG_FILE_HEADER_SIZE;
    header->machine = options->machine != 0 ? options->machine : 62;
    header->run_kind = options->run_kind;
    header->clock = options->clock != 0 ? options->clock : TTLOG_CLOCK_TRANSITIONS;
    header->nonce = options->nonce != 0 ? options->nonce : ttlog_random();
    memcpy(header->recording_uuid, options->recording_uuid, sizeof(header->recording_uuid));
    header->features = options->features;
    header->vcpu_count = options->vcpu_count != 0 ? options->vcpu_count : 1;
    header->mode = options->mode;
    header->branch_cell_shift = options->branch_cell_shift != 0 ? options->branch_cell_shift : 16;
    header->event_cell_shift = options->event_cell_shift != 0 ? options->event_cell_shift : 20;
    header->branch_chunk_max = header->branch_cell_shift < 16 ? 1u << header->branch_cell_shift : TTLOG_BRANCH_CHUNK_LIMIT;
    header->event_chunk_max = options->event_chunk_max != 0 ? options->event_chunk_max : 4096;
    header->access_chunk_max = options->access_chunk_max != 0 ? options->access_chunk_max : 16384;
    header->recorder = options->recorder;
    header->recorder_generation = options->recorder_generation;
    header->clock_base = options->clock_base;
    header->icount_base = options->icount_base;
    header->created_unix_ns = options->created_unix_ns != 0 ? options->created_unix_ns : unix_ns();
    if (options->recorder_name != NULL)
        snprintf(header->recorder_name, sizeof(header->recorder_name), "%s", options->recorder_name);
    if (header->mode == TTLOG_MODE_EVENTS)
        header->features &= ~(uint64_t)TTLOG_FEATURE_BRANCHES;
    if (header->mode == TTLOG_MODE_DIGEST && options->window_from < options->window_to)
        header->features |= TTLOG_FEATURE_WINDOWS;
    header->header_crc = ttlog_crc32c(0, header, sizeof(*header));
}

static int check_options(const char *path, const ttlog_options *options, ttlog_error *error) {
    const char *what = NULL;
    if (options->mode > TTLOG_MODE_EVENTS)
        what = "mode";
    else if (options->codec > TTLOG_CODEC_ZSTD)
        what = "codec";
    else if (options->vcpu_count > TTLOG_VCPU_MAX)
        what = "vcpu_count";
    else if (options->branch_cell_shift > 32 || options->event_cell_shift > 40)
        what = "cell_shift";
    else if (options->event_chunk_max > TTLOG_EVENT_CHUNK_LIMIT || options->access_chunk_max > TTLOG_EVENT_CHUNK_LIMIT)
        what = "event_chunk_max or access_chunk_max";
    return what == NULL ? 0 : ttlog_fail(error, EINVAL, "%s: cannot create the log: option %s is out of range", path, what);
}

static void set_up_track(ttlog_writer *writer, uint32_t index, uint8_t stream, uint16_t vcpu) {
    struct ttlog_track *track = &writer->tracks[index];
    const struct ttlog_file_header *header = &writer->header;
    track->writer = writer;
    track->stream = stream;
    track->vcpu = vcpu;
    track->current = 1; /* so that slot 0 is opened first */
    track->cell_shift = stream == TTLOG_STREAM_BRANCH ? header->branch_cell_shift : header->event_cell_shift;
    track->epoch_clock = track->clock = vcpu == 0 ? header->clock_base : 0;
    if (stream == TTLOG_STREAM_BRANCH)
        track->record_max = header->features & TTLOG_FEATURE_BRANCHES ? header->branch_chunk_max : 0;
    else
        track->record_max = stream == TTLOG_STREAM_ACCESS ? header->access_chunk_max : header->event_chunk_max;
}

int ttlog_set_up_tracks(ttlog_writer *writer) {
    uint16_t vcpus = writer->appending ? 0 : writer->header.vcpu_count;
    writer->track_count = 1 + vcpus * TTLOG_TRACKS_PER_VCPU;
    writer->tracks = calloc(writer->track_count, sizeof(*writer->tracks));
    writer->queue_size = 2 * writer->track_count;
    writer->queue = calloc(writer->queue_size, sizeof(struct ttlog_slot *));
    if (writer->tracks == NULL || writer->queue == NULL)
        return ENOMEM;
    set_up_track(writer, 0, TTLOG_STREAM_META, TTLOG_VCPU_NONE);
    for (uint16_t vcpu = 0; vcpu < vcpus; vcpu++)
        for (uint8_t i = 0; i < TTLOG_TRACKS_PER_VCPU; i++)
            set_up_track(writer, 1 + vcpu * TTLOG_TRACKS_PER_VCPU + i, (uint8_t)(TTLOG_STREAM_BRANCH + i), vcpu);
    return 0;
}

static int set_up_lanes(ttlog_writer *writer) {
    writer->lanes = calloc(writer->header.vcpu_count, sizeof(*writer->lanes));
    if (writer->lanes == NULL)
        return ENOMEM;
    for (uint16_t vcpu = 0; vcpu < writer->header.vcpu_count; vcpu++) {
        ttlog_lane *lane = &writer->lanes[vcpu];
        lane->writer = writer;
        lane->vcpu = vcpu;
        lane->clock = vcpu == 0 ? writer->header.clock_base : 0;
        lane->live_branches = &writer->open_header->committed_branches;
        lane->branches_off = !(writer->header.features & TTLOG_FEATURE_BRANCHES);
    }
    return 0;
}

/* Most bytes of a body that any slot can become. */
size_t ttlog_largest_body(const ttlog_writer *writer) {
    size_t bound = 0;
    for (uint32_t i = 0; i < writer->track_count; i++) {
        const struct ttlog_track *track = &writer->tracks[i];
        size_t size = track->stream == TTLOG_STREAM_BRANCH ? ttlog_branch_body_bound(track->slot[0].capacity)
                                                           : ttlog_event_body_bound(track->slot[0].capacity);
        if (size > bound)
            bound = size;
    }
    return bound;
}

static int set_up_kept(ttlog_writer *writer, const ttlog_options *options) {
    if (writer->header.mode != TTLOG_MODE_DIGEST)
        return 0;
    uint32_t cells = options->kept_cells != 0 ? options->kept_cells : 8;
    if (cells > 4096)
        cells = 4096;
    writer->kept_size = cells + 1;
    writer->kept = calloc(writer->kept_size, sizeof(*writer->kept));
    size_t image = TTLOG_CHUNK_HEADER_SIZE + ttlog_branch_body_bound(writer->header.branch_chunk_max) +
                   TTLOG_CHUNK_ALIGNMENT;
    for (uint32_t i = 0; writer->kept != NULL && i < writer->kept_size; i++) {
        writer->kept[i].image = malloc(image);
        if (writer->kept[i].image == NULL)
            return ENOMEM;
    }
    return writer->kept != NULL ? 0 : ENOMEM;
}

/* A writer without files. */
ttlog_writer *ttlog_writer_allocate(const char *path) {
    ttlog_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return NULL;
    writer->sink.fd = writer->open_fd = -1;
    writer->owner = getpid();
    pthread_mutex_init(&writer->meta_lock, NULL);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_mutex_init(&writer->seal_lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    writer->path = strdup(path);
    if (writer->path == NULL || asprintf(&writer->open_path, "%s.open", path) < 0) {
        writer->open_path = NULL;
        ttlog_writer_free(writer);
        return NULL;
    }
    return writer;
}

void ttlog_writer_free(ttlog_writer *writer) {
    ttlog_open_unmap(writer);
    if (writer->has_lock && getpid() == writer->owner)
        ttlog_unlock_file(writer->sink.fd);
    ttlog_sink_free(&writer->sink);
    for (uint32_t i = 0; writer->kept != NULL && i < writer->kept_size; i++)
        free(writer->kept[i].image);
    free(writer->kept);
    free(writer->queue);
    free(writer->tracks);
    free(writer->lanes);
    free(writer->path);
    free(writer->open_path);
    free(writer);
}

/* Opens and locks a log. Nobody else may have it: not the writer of another run, nor one that replaced the file. */
int ttlog_open_log(ttlog_writer *writer, int create, ttlog_error *error) {
    struct stat by_descriptor, by_path;
    int fd = open(writer->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (create ? O_CREAT : 0), 0666);
    if (fd < 0)
        return ttlog_fail(error, errno, "%s: cannot open the log for writing", writer->path);
    writer->sink.fd = fd;
    if (fstat(fd, &by_descriptor) != 0)
        return ttlog_fail(error, errno, "%s: cannot examine the log", writer->path);
    if (!S_ISREG(by_descriptor.st_mode))
        return ttlog_fail(error, EINVAL, "%s: a log must be a regular file", writer->path);
    int code = ttlog_lock_file(fd);
    if (code == EAGAIN || code == EACCES)
        return ttlog_fail(error, EBUSY, "%s: another process is writing this log; wait for it or choose another path",
                          writer->path);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot lock the log", writer->path);
    writer->has_lock = 1;
    if (stat(writer->path, &by_path) != 0 || by_path.st_ino != by_descriptor.st_ino ||
        by_path.st_dev != by_descriptor.st_dev)
        return ttlog_fail(error, EBUSY, "%s: the log was replaced while it was being opened; try again", writer->path);
    return 0;
}

static int create_files(ttlog_writer *writer, const ttlog_options *options, ttlog_error *error) {
    if (ttlog_open_log(writer, 1, error) != 0)
        return -1;
    if (ftruncate(writer->sink.fd, 0) != 0)
        return ttlog_fail(error, errno, "%s: cannot truncate the old log", writer->path);
    if (ttlog_open_create(writer, error) != 0)
        return -1;
    writer->sink.nonce = writer->header.nonce;
    writer->sink.codec = options->codec;
    int level = options->compression_level != 0 ? options->compression_level : 1;
    int code = ttlog_sink_prepare(&writer->sink, ttlog_largest_body(writer), level);
    if (code == 0)
        code = set_up_lanes(writer);
    if (code == 0)
        code = set_up_kept(writer, options);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot set up the writer", writer->path);
    code = ttlog_write_all(writer->sink.fd, &writer->header, sizeof(writer->header), 0);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot write the file header", writer->path);
    writer->sink.offset = sizeof(writer->header);
    writer->open_header->stored_bytes = writer->sink.offset;
    return 0;
}

ttlog_writer *ttlog_writer_create(const char *path, const ttlog_options *options, ttlog_error *error) {
    if (check_options(path, options, error) != 0)
        return NULL;
    ttlog_writer *writer = ttlog_writer_allocate(path);
    if (writer == NULL) {
        ttlog_fail(error, ENOMEM, "%s: cannot create the log", path);
        return NULL;
    }
    fill_header(&writer->header, options);
    writer->inline_sealing = options->inline_sealing;
    writer->sync_seconds = options->sync_seconds;
    writer->window_from = options->window_from;
    writer->window_to = options->window_to;
    writer->synced_ns = ttlog_monotonic_ns();
    int failed = ttlog_set_up_tracks(writer) != 0 ? ttlog_fail(error, ENOMEM, "%s: cannot create the log", path)
                                                  : create_files(writer, options, error);
    if (!failed && !writer->inline_sealing) {
        int code = ttlog_helper_start(writer);
        if (code != 0)
            failed = ttlog_fail(error, code, "%s: cannot start the sealing thread", path);
    }
    if (!failed)
        return writer;
    int created = writer->open_fd >= 0; /* then the log is ours too */
    if (created) {
        unlink(writer->open_path);
        unlink(path);
    }
    ttlog_writer_free(writer);
    return NULL;
}
