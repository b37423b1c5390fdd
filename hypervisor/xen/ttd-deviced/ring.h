/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ring.h - one ring of records that the daemon shares with the hypervisor (ttd_xen.h).
 */
#ifndef TTD_RING_H
#define TTD_RING_H

#include <stddef.h>

#include "ttd_xen.h"
#include "ttlog_writer.h"

/* A mapped ring. Its memory belongs to the caller. */
struct ttd_view {
    struct ttd_ring *ring;
    uint8_t *bytes;
    uint32_t size;     /* of `bytes` */
    uint32_t place;    /* of the next record to take in `bytes` */
    uint64_t position; /* bytes that this side has produced or consumed so far */
    uint64_t produced; /* out ring: what the other side had produced when this side last looked */
};

enum { TTD_RING_PAGE = 4096 };

/* Takes a mapped ring: the first page is struct ttd_ring, the others hold records. The daemon consumes an out ring and
 * produces into an in ring. Returns 0, or -1 with *error when the memory holds no ring of this version. */
int ttd_view_open(struct ttd_view *view, void *memory, size_t memory_size, int is_producer, ttlog_error *error);

/* Takes the next record of an out ring. Returns 1 with *record in the ring's memory, 0 if there is none, -1 with *error
 * if the record is damaged. The hypervisor does not use the memory again before ttd_view_release. */
int ttd_view_next(struct ttd_view *view, const struct ttd_record **record, ttlog_error *error);

/* Gives the memory of all records taken so far back to the hypervisor. */
void ttd_view_release(struct ttd_view *view);

/* Puts a record into an in ring; `record->size` is set here. Returns 1, or 0 if there is no room yet. */
int ttd_view_put(struct ttd_view *view, struct ttd_record *record, const void *payload);

/* Whether the guest waits for this ring; the hypervisor must be woken after a change. */
int ttd_view_is_waited_for(const struct ttd_view *view);

/* Whether the producer adds no more. */
int ttd_view_is_closed(const struct ttd_view *view);

#endif
