/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What creating a log and appending to one share: the writer's memory, its tracks, the locked log file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ttlog_internal.h"

/* Allocates a writer without files. */
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

/* Meta records are few, but their payloads long: the reserved space of two slots would be large for nothing. */
enum { META_CHUNK_MAX = 1024 };

static uint32_t most_records(const struct ttlog_file_header *header, uint8_t stream) {
    switch (stream) {
    case TTLOG_STREAM_BRANCH: return header->features & TTLOG_FEATURE_BRANCHES ? header->branch_chunk_max : 0;
    case TTLOG_STREAM_ACCESS: return header->access_chunk_max;
    case TTLOG_STREAM_META: return header->event_chunk_max < META_CHUNK_MAX ? header->event_chunk_max : META_CHUNK_MAX;
    default: return header->event_chunk_max;
    }
}

static void set_up_track(ttlog_writer *writer, uint32_t index, uint8_t stream, uint16_t vcpu) {
    struct ttlog_track *track = &writer->tracks[index];
    const struct ttlog_file_header *header = &writer->header;
    track->writer = writer;
    track->stream = stream;
    track->vcpu = vcpu;
    track->current = 1; /* slot 0 is opened first */
    track->cell_shift = stream == TTLOG_STREAM_BRANCH ? header->branch_cell_shift : header->event_cell_shift;
    track->epoch_clock = track->clock = vcpu == 0 ? header->clock_base : 0;
    track->record_max = most_records(header, stream);
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

/* The size of the largest body that a slot can become. */
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

/* Opens and locks a log. Fails if another writer holds the log, or replaced the file meanwhile. */
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
