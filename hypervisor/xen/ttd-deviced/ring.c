/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rings: one producer, one consumer, in memory that both map. Only this file reads and writes the shared indexes.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "failure.h"

enum { RECORD_ALIGNMENT = 8, PAD_SIZE = 8 };

int ttd_view_open(struct ttd_view *view, void *memory, size_t memory_size, int is_producer, ttlog_error *error) {
    struct ttd_ring *ring = memory;
    if (memory_size < 2 * TTD_RING_PAGE || ring->version != TTD_VERSION)
        return ttd_fail(error, EPROTO, "the ring has interface version %u; this program needs %u: it and Xen must come "
                        "from one release", memory_size < TTD_RING_PAGE ? 0 : ring->version, TTD_VERSION);
    if (ring->size == 0 || ring->size % TTD_RING_PAGE != 0 || ring->size > memory_size - TTD_RING_PAGE)
        return ttd_fail(error, EPROTO, "the ring's size of %u bytes does not fit its %zu bytes of memory", ring->size,
                        memory_size);
    *view = (struct ttd_view){.ring = ring, .bytes = (uint8_t *)memory + TTD_RING_PAGE, .size = ring->size};
    view->position = view->produced = __atomic_load_n(is_producer ? &ring->produced : &ring->consumed, __ATOMIC_RELAXED);
    view->place = (uint32_t)(view->position % view->size);
    if (view->place % RECORD_ALIGNMENT != 0)
        return ttd_fail(error, EBADMSG, "damaged ring: it goes on at byte %llu, inside a record",
                        (unsigned long long)view->position);
    return 0;
}

static int fail_size(const struct ttd_view *view, uint32_t size, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "damaged ring: a record of %u bytes at byte %llu", size,
                    (unsigned long long)view->position);
}

static int fail_payload(const struct ttd_view *view, const struct ttd_record *record, uint32_t size, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "damaged ring: a record of type %u with %u bytes and %u of payload at byte %llu",
                    record->type, size, size < sizeof(*record) ? 0 : record->length, (unsigned long long)view->position);
}

/* Looks how far the producer is. Returns 1 if there is something to take, 0 if not, -1 with *error. */
static int look(struct ttd_view *view, ttlog_error *error) {
    view->produced = __atomic_load_n(&view->ring->produced, __ATOMIC_ACQUIRE);
    if (view->produced - view->position > view->size)
        return ttd_fail(error, EBADMSG, "damaged ring: %llu bytes are produced and %llu consumed, of %u",
                        (unsigned long long)view->produced, (unsigned long long)view->position, view->size);
    return view->produced != view->position;
}

int ttd_view_next(struct ttd_view *view, const struct ttd_record **record, ttlog_error *error) {
    for (;;) {
        if (view->position == view->produced) {
            int found = look(view, error);
            if (found <= 0)
                return found;
        }
        const struct ttd_record *next = (const struct ttd_record *)(view->bytes + view->place);
        uint32_t size = next->size, room = view->size - view->place;
        if (size < PAD_SIZE || size % RECORD_ALIGNMENT != 0 || size > room || size > view->produced - view->position)
            return fail_size(view, size, error);
        int is_pad = next->type == TTD_PAD;
        if (!is_pad && (size < sizeof(*next) || next->length > size - sizeof(*next)))
            return fail_payload(view, next, size, error);
        view->position += size;
        view->place = size == room ? 0 : view->place + size;
        if (!is_pad) {
            *record = next;
            return 1;
        }
    }
}

void ttd_view_release(struct ttd_view *view) {
    __atomic_store_n(&view->ring->consumed, view->position, __ATOMIC_RELEASE);
}

int ttd_view_put(struct ttd_view *view, struct ttd_record *record, const void *payload) {
    record->size = (uint32_t)((sizeof(*record) + record->length + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT *
                              RECORD_ALIGNMENT);
    uint64_t consumed = __atomic_load_n(&view->ring->consumed, __ATOMIC_ACQUIRE);
    uint64_t room = view->size - (view->position - consumed);
    uint32_t place = (uint32_t)(view->position % view->size);
    uint32_t pad = view->size - place < record->size ? view->size - place : 0;
    if (view->position - consumed > view->size || room < (uint64_t)pad + record->size)
        return 0;
    if (pad > 0) {
        struct ttd_record *end = (struct ttd_record *)(view->bytes + place);
        end->size = pad;
        end->type = TTD_PAD;
        place = 0;
    }
    uint8_t *target = view->bytes + place;
    memset(target + record->size - RECORD_ALIGNMENT, 0, RECORD_ALIGNMENT);
    memcpy(target, record, sizeof(*record));
    if (record->length > 0)
        memcpy(target + sizeof(*record), payload, record->length);
    view->position += pad + record->size;
    __atomic_store_n(&view->ring->produced, view->position, __ATOMIC_RELEASE);
    return 1;
}

int ttd_view_is_waited_for(const struct ttd_view *view) {
    /* The index was written before; the flag must be read after that write is visible. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&view->ring->waiting, __ATOMIC_RELAXED) != 0;
}

int ttd_view_is_closed(const struct ttd_view *view) {
    return __atomic_load_n(&view->ring->closed, __ATOMIC_ACQUIRE) != 0;
}
