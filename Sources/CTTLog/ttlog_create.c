/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Creates a log: header from options, memory, files, helper thread.
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
    if (!options->machine_unknown)
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

/* Takes a file that has no name: nobody else can open it, and no open file is needed. */
static int adopt_file(ttlog_writer *writer, int fd, ttlog_error *error) {
    writer->nameless = 1;
    writer->sink.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (writer->sink.fd < 0)
        return ttlog_fail(error, errno, "%s: cannot use the temporary file", writer->path);
    int code = ttlog_open_anonymous(writer);
    return code == 0 ? 0 : ttlog_fail(error, code, "%s: cannot reserve memory for records", writer->path);
}

static int create_named(ttlog_writer *writer, ttlog_error *error) {
    if (ttlog_open_log(writer, 1, error) != 0)
        return -1;
    if (ftruncate(writer->sink.fd, 0) != 0)
        return ttlog_fail(error, errno, "%s: cannot truncate the old log", writer->path);
    return ttlog_open_create(writer, error);
}

/* fd: the file without a name, or -1. */
static int create_files(ttlog_writer *writer, int fd, const ttlog_options *options, ttlog_error *error) {
    if ((fd >= 0 ? adopt_file(writer, fd, error) : create_named(writer, error)) != 0)
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

static ttlog_writer *create(const char *path, int fd, const ttlog_options *options, ttlog_error *error) {
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
                                                  : create_files(writer, fd, options, error);
    if (!failed && !writer->inline_sealing) {
        int code = ttlog_helper_start(writer);
        if (code != 0)
            failed = ttlog_fail(error, code, "%s: cannot start the sealing thread", path);
    }
    if (!failed)
        return writer;
    int created = writer->open_fd >= 0; /* then this call created the log too */
    if (created) {
        unlink(writer->open_path);
        unlink(path);
    }
    ttlog_writer_free(writer);
    return NULL;
}

ttlog_writer *ttlog_writer_create(const char *path, const ttlog_options *options, ttlog_error *error) {
    return create(path, -1, options, error);
}

ttlog_writer *ttlog_writer_create_nameless(int fd, const char *name, const ttlog_options *options, ttlog_error *error) {
    return create(name, fd, options, error);
}
