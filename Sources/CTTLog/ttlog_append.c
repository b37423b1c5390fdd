/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Meta records after the end of a finished log: new chunks, their directory, a trailer that points to the previous one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ttlog_internal.h"

static int read_header(ttlog_writer *writer, uint64_t size, ttlog_error *error) {
    struct ttlog_file_header *header = &writer->header;
    if (size < sizeof(*header) || ttlog_read_all(writer->sink.fd, header, sizeof(*header), 0) != 0 ||
        header->magic != TTLOG_FILE_MAGIC)
        return ttlog_fail(error, EBADMSG, "%s: not a trace log: no file header at offset 0", writer->path);
    uint32_t crc = header->header_crc;
    header->header_crc = 0;
    uint32_t found = ttlog_crc32c(0, header, sizeof(*header));
    header->header_crc = crc;
    if (header->version != TTLOG_VERSION || header->header_size != TTLOG_FILE_HEADER_SIZE)
        return ttlog_fail(error, EBADMSG, "%s: format version %u; this program writes version %u", writer->path,
                          header->version, TTLOG_VERSION);
    if (found != crc)
        return ttlog_fail(error, EBADMSG, "%s: file header damaged: checksum 0x%08x expected, 0x%08x found", writer->path,
                          crc, found);
    if (header->vcpu_count == 0 || header->vcpu_count > TTLOG_VCPU_MAX || header->branch_cell_shift > 32 ||
        header->event_cell_shift > 40 || header->event_chunk_max == 0 ||
        header->event_chunk_max > TTLOG_EVENT_CHUNK_LIMIT)
        return ttlog_fail(error, EBADMSG, "%s: file header: vCPU count, cell shift or chunk maximum out of range",
                          writer->path);
    return 0;
}

static int scan(ttlog_writer *writer, struct ttlog_scan *scan, ttlog_error *error) {
    struct stat status;
    if (fstat(writer->sink.fd, &status) != 0)
        return ttlog_fail(error, errno, "%s: cannot examine the log", writer->path);
    free(scan->entries);
    *scan = (struct ttlog_scan){
        .fd = writer->sink.fd,
        .nonce = writer->header.nonce,
        .size = (uint64_t)status.st_size,
    };
    int code = ttlog_scan_log(scan);
    return code == 0 ? 0 : ttlog_fail(error, code, "%s: cannot read the log after offset %llu", writer->path,
                                      (unsigned long long)scan->end);
}

static int ends_with_trailer(const struct ttlog_scan *scan) {
    return scan->last_trailer != 0 && scan->last_trailer + sizeof(struct ttlog_trailer) == scan->size &&
           !(scan->trailer_flags & TTLOG_TRAILER_CONTINUES);
}

/* A clean close ends with a trailer and removes the open file. An open file of another log does not count. */
static int is_closed(const ttlog_writer *writer, const struct ttlog_scan *scan) {
    return ends_with_trailer(scan) && !ttlog_has_open_file(writer);
}

/* Continues the meta stream after the log's last meta chunk. */
static int continue_meta(ttlog_writer *writer, const struct ttlog_scan *scan) {
    struct ttlog_track *track = &writer->tracks[0];
    for (size_t i = 0; i < scan->count; i++) {
        struct ttlog_chunk_header header;
        if (scan->entries[i].stream != TTLOG_STREAM_META)
            continue;
        int code = ttlog_scan_header(scan, i, &header);
        if (code != 0)
            return code;
        if (track->has_cell && header.part <= track->part)
            continue;
        track->has_cell = track->has_chain = 1;
        track->part = header.part;
        track->chain = header.chain;
        track->ordinal = header.first_ordinal + header.count;
    }
    writer->ticket = scan->records > scan->ticket_end ? scan->records : scan->ticket_end;
    return 0;
}

static int continue_log(ttlog_writer *writer, const struct ttlog_scan *scan) {
    struct ttlog_sink *sink = &writer->sink;
    sink->offset = writer->append_begin = scan->size;
    sink->directory_count = 0;
    sink->directory_part = scan->directories;
    sink->previous_trailer = scan->last_trailer;
    writer->lost_before = scan->lost;
    int code = sink->image == NULL ? ttlog_sink_prepare(sink, ttlog_largest_body(writer), 1) : 0;
    return code == 0 ? continue_meta(writer, scan) : code;
}

/* The losses of a recovered log are known by stream, not by vCPU. */
static void write_recovered_losses(ttlog_writer *writer) {
    for (uint8_t stream = 0; stream < 8; stream++)
        if (writer->recovered_lost[stream] > 0)
            ttlog_write_lost(writer, stream, TTLOG_VCPU_NONE, writer->recovered_lost[stream], 0);
}

static int open_finished(ttlog_writer *writer, struct ttlog_scan *found, ttlog_error *error) {
    if (ttlog_open_log(writer, 0, error) != 0)
        return -1;
    struct stat status;
    if (fstat(writer->sink.fd, &status) != 0)
        return ttlog_fail(error, errno, "%s: cannot examine the log", writer->path);
    if (read_header(writer, (uint64_t)status.st_size, error) != 0 || scan(writer, found, error) != 0)
        return -1;
    writer->sink.nonce = writer->header.nonce;
    writer->sink.codec = found->uses_zstd ? TTLOG_CODEC_ZSTD : TTLOG_CODEC_RAW;
    int code = ttlog_set_up_tracks(writer);
    if (code == 0)
        code = ttlog_open_anonymous(writer);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot append to the log", writer->path);
    if (!is_closed(writer, found) && (ttlog_recover(writer, found, error) != 0 || scan(writer, found, error) != 0))
        return -1;
    if (!ends_with_trailer(found))
        return ttlog_fail(error, EBADMSG, "%s: the log has no trailer after its recovery", writer->path);
    code = continue_log(writer, found);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot append to the log", writer->path);
    write_recovered_losses(writer);
    return 0;
}

ttlog_writer *ttlog_writer_append(const char *path, ttlog_error *error) {
    ttlog_writer *writer = ttlog_writer_allocate(path);
    if (writer == NULL) {
        ttlog_fail(error, ENOMEM, "%s: cannot append to the log", path);
        return NULL;
    }
    writer->appending = writer->inline_sealing = 1;
    struct ttlog_scan found = {0};
    int failed = open_finished(writer, &found, error);
    free(found.entries);
    if (!failed)
        return writer;
    ttlog_writer_free(writer);
    return NULL;
}
