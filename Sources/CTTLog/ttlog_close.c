/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The end of a log: last chunks, losses, directory, trailer. Tries a second time if the disk was full.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ttlog_internal.h"

/* Returns the reserve at the end of the open file to the file system, and lets the sealing continue. */
static void use_reserve(ttlog_writer *writer) {
    while (ftruncate(writer->open_fd, (off_t)writer->open_size) != 0 && errno == EINTR)
        ;
    writer->error = 0;
}

static void write_losses(ttlog_writer *writer) {
    for (uint32_t i = 1; i < writer->track_count; i++) {
        const struct ttlog_track *track = &writer->tracks[i];
        if (track->lost > 0)
            ttlog_write_lost(writer, track->stream, track->vcpu, track->lost, writer->lanes[track->vcpu].clock);
    }
}

/* Writes everything that is left, in file order. Returns errno. */
static int write_end(ttlog_writer *writer) {
    int code = ttlog_queue_drain(writer);
    if (code != 0)
        return code;
    write_losses(writer);
    ttlog_track_finish(&writer->tracks[0], 0);
    code = ttlog_queue_drain(writer);
    if (code == 0)
        code = ttlog_write_kept(writer);
    if (code == 0)
        code = ttlog_sink_directory(&writer->sink, ttlog_writer_lost(writer), 0);
    return code;
}

static int close_created(ttlog_writer *writer, ttlog_error *error) {
    for (uint16_t vcpu = 0; vcpu < writer->header.vcpu_count; vcpu++)
        ttlog_vcpu_finish(writer, vcpu);
    ttlog_helper_stop(writer);
    int first_error = ttlog_writer_error(writer);
    int code = first_error;
    if (code == 0)
        code = first_error = write_end(writer);
    if (code != 0) {
        use_reserve(writer);
        code = write_end(writer);
    }
    uint64_t lost = ttlog_writer_lost(writer);
    if (code == 0 && writer->sync_seconds > 0 && fdatasync(writer->sink.fd) != 0)
        code = errno;
    if (code != 0 && writer->nameless)
        return ttlog_fail(error, code, "%s: cannot write the log", writer->path);
    if (code != 0)
        return ttlog_fail(error, code,
                          "%s: cannot finish the log (%llu records lost); the other records are in %s: keep both files",
                          writer->path, (unsigned long long)lost, writer->open_path);
    if (!writer->nameless)
        unlink(writer->open_path);
    if (first_error != 0) {
        ttlog_fail(error, first_error, "%s: the log is complete up to the first failed write; %llu records were lost",
                   writer->path, (unsigned long long)lost);
    }
    return 0;
}

/* Appended chunks, and a directory of them. A failure leaves the log as it was. */
static int close_appended(ttlog_writer *writer, ttlog_error *error) {
    ttlog_track_finish(&writer->tracks[0], 0);
    int code = ttlog_queue_drain(writer);
    if (code == 0 && writer->sink.offset != writer->append_begin)
        code = ttlog_sink_directory(&writer->sink, ttlog_writer_lost(writer), 0);
    if (code == 0)
        return 0;
    while (ftruncate(writer->sink.fd, (off_t)writer->append_begin) != 0 && errno == EINTR)
        ;
    return ttlog_fail(error, code, "%s: cannot append to the log; it is as it was", writer->path);
}

int ttlog_writer_close(ttlog_writer *writer, ttlog_error *error) {
    if (error != NULL)
        *error = (ttlog_error){0};
    int result = 0;
    if (getpid() == writer->owner)
        result = writer->appending ? close_appended(writer, error) : close_created(writer, error);
    ttlog_writer_free(writer);
    return result;
}

void ttlog_writer_abandon(ttlog_writer *writer) {
    if (getpid() == writer->owner && writer->has_helper) {
        pthread_mutex_lock(&writer->lock);
        writer->error = ECANCELED; /* in memory only, so that the helper seals nothing more */
        pthread_mutex_unlock(&writer->lock);
        ttlog_helper_stop(writer);
    }
    ttlog_writer_free(writer);
}
