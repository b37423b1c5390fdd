/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Slots to chunks: the queue of full slots, and the sealer that empties it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ttlog_internal.h"

static uint32_t slot_units(const struct ttlog_slot *slot) {
    return (uint32_t)__atomic_load_n(&slot->header->commit, __ATOMIC_ACQUIRE);
}

/* Mode digest: whether this chunk's body is left out. */
static int is_elided(const ttlog_writer *writer, const struct ttlog_chunk_header *header) {
    if (header->stream != TTLOG_STREAM_BRANCH || writer->header.mode != TTLOG_MODE_DIGEST)
        return 0;
    unsigned shift = writer->header.branch_cell_shift;
    uint64_t cell_first = header->cell << shift;
    uint64_t cell_last = cell_first + ((1ull << shift) - 1);
    int in_window = cell_first < writer->window_to && cell_last >= writer->window_from;
    return !in_window;
}

/* Keeps the body in kept[kept_next] until newer ones replace it. The ring has one place more than bodies to keep, so
 * that encoding the next body does not overwrite the oldest. */
static void keep(ttlog_writer *writer) {
    writer->kept_next = (writer->kept_next + 1) % writer->kept_size;
    if (writer->kept_count < writer->kept_size - 1)
        writer->kept_count++;
}

/* Encodes the slot's records into image, after the room for the chunk header. Returns the raw size; 0: malformed. */
static size_t encode_slot(const ttlog_writer *writer, const struct ttlog_slot *slot, uint8_t *image,
                          struct ttlog_chunk_header *header) {
    uint8_t *body = image + TTLOG_CHUNK_HEADER_SIZE;
    uint32_t units = slot_units(slot);
    if (slot->track->stream != TTLOG_STREAM_BRANCH)
        return ttlog_encode_events(slot->units, units, body, header);
    int with_icount = (writer->header.features & TTLOG_FEATURE_ICOUNT) != 0;
    header->ticket = __atomic_load_n(&writer->ticket, __ATOMIC_RELAXED);
    return ttlog_encode_branches(slot->units, units, slot->header->clock_first, with_icount, body, header);
}

/* Makes a chunk of a full slot and frees the slot. Returns errno; after an error the slot stays in use. */
static int seal(ttlog_writer *writer, struct ttlog_slot *slot) {
    struct ttlog_track *track = slot->track;
    struct ttlog_sink *sink = &writer->sink;
    struct ttlog_chunk_header header = {
        .stream = track->stream,
        .vcpu = track->vcpu,
        .flags = slot->header->flags,
        .epoch = slot->header->epoch,
        .part = slot->header->part,
        .cell = slot->header->cell,
        .first_ordinal = slot->header->first_ordinal,
    };
    int elided = is_elided(writer, &header);
    struct ttlog_kept *kept = elided ? &writer->kept[writer->kept_next] : NULL;
    uint8_t *image = elided ? kept->image : sink->image;
    if (encode_slot(writer, slot, image, &header) == 0)
        return EIO;
    uint64_t previous = track->has_chain && track->chain_epoch == header.epoch ? track->chain : 0;
    header.chain = ttlog_chain(previous, &header);
    if (elided) {
        kept->header = header;
        header.flags |= TTLOG_CHUNK_ELIDED;
    }
    int code = ttlog_sink_chunk(sink, &header, image, ttlog_writer_lost(writer));
    if (code != 0)
        return code;
    if (elided)
        keep(writer);

    track->chain = header.chain;
    track->chain_epoch = header.epoch;
    track->has_chain = 1;
    struct ttlog_slot *other = &track->slot[slot == &track->slot[0]];
    __atomic_store_n(&other->header->chain, header.chain, __ATOMIC_RELAXED);
    __atomic_store_n(&writer->open_header->stored_bytes, sink->offset, __ATOMIC_RELAXED);
    uint64_t generation = slot->header->commit >> 32;
    __atomic_store_n(&slot->header->commit, (uint64_t)(uint32_t)(generation + 1) << 32, __ATOMIC_RELEASE);
    return 0;
}

static void set_error(ttlog_writer *writer, int code) {
    __atomic_store_n(&writer->error, code, __ATOMIC_RELAXED);
    __atomic_store_n(&writer->open_header->error, (uint64_t)code, __ATOMIC_RELAXED);
}

static void sync_if_due(ttlog_writer *writer) {
    uint64_t now = ttlog_monotonic_ns();
    if (writer->sync_seconds == 0 || now - writer->synced_ns < writer->sync_seconds * 1000000000ull)
        return;
    writer->synced_ns = now;
    (void)fdatasync(writer->sink.fd);
    (void)fdatasync(writer->open_fd);
}

/* Seals the slot at the head of the queue. Only the sealer calls it, with `lock` held; it releases `lock` meanwhile. */
static void seal_head(ttlog_writer *writer) {
    struct ttlog_slot *slot = writer->queue[writer->queue_head];
    pthread_mutex_unlock(&writer->lock);
    int code = seal(writer, slot);
    sync_if_due(writer);
    pthread_mutex_lock(&writer->lock);
    if (code != 0) {
        set_error(writer, code);
    } else {
        writer->queue_head = (writer->queue_head + 1) % writer->queue_size;
        writer->queue_count--;
        slot->busy = 0;
    }
    pthread_cond_broadcast(&writer->changed);
}

static void *helper_main(void *argument) {
    ttlog_writer *writer = argument;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        if (writer->queue_count > 0 && writer->error == 0) {
            seal_head(writer);
        } else if (writer->stop) {
            break;
        } else if (writer->sync_seconds > 0) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += writer->sync_seconds;
            if (pthread_cond_timedwait(&writer->changed, &writer->lock, &until) == ETIMEDOUT) {
                pthread_mutex_unlock(&writer->lock);
                sync_if_due(writer);
                pthread_mutex_lock(&writer->lock);
            }
        } else {
            pthread_cond_wait(&writer->changed, &writer->lock);
        }
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* Starts the helper with every signal blocked: they are for the host program's threads. Returns errno. */
int ttlog_helper_start(ttlog_writer *writer) {
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    int code = pthread_create(&writer->helper, NULL, helper_main, writer);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    writer->has_helper = code == 0;
    return code;
}

/* Lets the helper empty the queue (unless there was an error) and ends it. After that the caller seals. */
void ttlog_helper_stop(ttlog_writer *writer) {
    if (writer->has_helper) {
        pthread_mutex_lock(&writer->lock);
        writer->stop = 1;
        pthread_cond_broadcast(&writer->changed);
        pthread_mutex_unlock(&writer->lock);
        pthread_join(writer->helper, NULL);
        writer->has_helper = 0;
    }
    writer->inline_sealing = 1;
}

/* Seals what is queued, in the calling thread. Returns errno. */
int ttlog_queue_drain(ttlog_writer *writer) {
    pthread_mutex_lock(&writer->seal_lock);
    pthread_mutex_lock(&writer->lock);
    while (writer->queue_count > 0 && writer->error == 0)
        seal_head(writer);
    int code = writer->error;
    pthread_mutex_unlock(&writer->lock);
    pthread_mutex_unlock(&writer->seal_lock);
    return code;
}

/* The slot takes no more records: hands it to the sealer. */
void ttlog_queue_slot(ttlog_writer *writer, struct ttlog_slot *slot) {
    pthread_mutex_lock(&writer->lock);
    slot->busy = 1;
    writer->queue[(writer->queue_head + writer->queue_count) % writer->queue_size] = slot;
    writer->queue_count++;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    if (writer->inline_sealing)
        (void)ttlog_queue_drain(writer);
}

/* Waits until the slot is sealed. Returns -1 if the logging ends first. */
int ttlog_wait_free(ttlog_writer *writer, struct ttlog_slot *slot) {
    pthread_mutex_lock(&writer->lock);
    if (slot->busy && writer->error == 0) {
        uint64_t began = ttlog_monotonic_ns();
        while (slot->busy && writer->error == 0)
            pthread_cond_wait(&writer->changed, &writer->lock);
        writer->stall_ns += ttlog_monotonic_ns() - began;
    }
    int busy = slot->busy;
    pthread_mutex_unlock(&writer->lock);
    return busy ? -1 : 0;
}

/* Mode digest: writes the last branch chunks again, with the bodies that the log lacks. Returns errno. */
int ttlog_write_kept(ttlog_writer *writer) {
    while (writer->kept_count > 0) {
        uint32_t oldest = (writer->kept_next + writer->kept_size - writer->kept_count) % writer->kept_size;
        struct ttlog_kept *kept = &writer->kept[oldest];
        kept->header.flags |= TTLOG_CHUNK_WINDOW;
        int code = ttlog_sink_chunk(&writer->sink, &kept->header, kept->image, ttlog_writer_lost(writer));
        if (code != 0)
            return code;
        writer->kept_count--;
    }
    return 0;
}
