/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings shared with dom0.
 *
 * dom0 maps a ring's pages as long as it likes, so they are never freed: a
 * ring that is closed waits for the next session that wants one of its size.
 *
 * Nothing that dom0 writes into a ring is trusted with memory: our own end is
 * kept outside, and a record is copied before it is checked.
 */
#include <xen/event.h>
#include "private.h"

#define PAGES_DEFAULT 256
#define PAGES_MAX     8192

/* Room that is left when the guest is made to wait. */
#define RESERVE       (64 * 1024)

static struct {
    struct ttd_ring *ring;
    unsigned int order;
} unused[16];

static struct ttd_ring *reuse(unsigned int order)
{
    unsigned int i;

    for ( i = 0; i < ARRAY_SIZE(unused); i++ )
        if ( unused[i].ring && unused[i].order == order )
        {
            struct ttd_ring *ring = unused[i].ring;

            unused[i].ring = NULL;
            return ring;
        }

    return NULL;
}

int ttd_pipe_open(struct ttd_pipe *pipe, unsigned int pages)
{
    unsigned int order = get_order_from_pages(pages ?: PAGES_DEFAULT);
    struct ttd_ring *ring;
    unsigned int i;

    if ( pages > PAGES_MAX || (pages && pages < 64) )
        return -EINVAL;

    ring = reuse(order);
    if ( !ring )
    {
        ring = alloc_xenheap_pages(order, 0);
        if ( !ring )
            return -ENOMEM;
        for ( i = 0; i < (1u << order); i++ )
            share_xen_page_with_privileged_guests(
                virt_to_page((void *)ring + i * PAGE_SIZE), SHARE_rw);
    }

    memset(ring, 0, PAGE_SIZE << order);
    memset(pipe, 0, sizeof(*pipe));
    pipe->ring = ring;
    pipe->records = (void *)ring + PAGE_SIZE;
    pipe->order = order;
    pipe->size = ring->size = ((1u << order) - 1) * PAGE_SIZE;
    ring->version = TTD_VERSION;

    return 0;
}

void ttd_pipe_close(struct ttd_pipe *pipe)
{
    unsigned int i;

    for ( i = 0; pipe->ring && i < ARRAY_SIZE(unused); i++ )
        if ( !unused[i].ring )
        {
            unused[i].ring = pipe->ring;
            unused[i].order = pipe->order;
            break;
        }
    memset(pipe, 0, sizeof(*pipe));
}

static uint32_t room(const struct ttd_pipe *pipe)
{
    uint64_t used = pipe->at - read_atomic(&pipe->ring->consumed);

    return used > pipe->size ? 0 : pipe->size - used;
}

/*
 * Whether the guest must wait before it may go on to its next exit.  Up to
 * `roomy` there is room enough: the daemon's end only moves on.
 */
bool ttd_pipe_low(struct ttd_pipe *pipe)
{
    uint32_t left = room(pipe);

    if ( left < RESERVE )
        return true;
    pipe->roomy = pipe->at + (left - RESERVE);

    return false;
}

static void no_room(struct ttd_session *s)
{
    struct ttd_pipe *pipe = &s->out;

    pipe->ring->lost++;
    if ( s->state != TTD_STATE_RUNNING && s->state != TTD_STATE_BREAK )
        return;
    printk(XENLOG_ERR "ttd: d%d: no room for a record at clock %lu\n",
           s->domain_id, s->clock);
    s->end = TTD_END_NO_ROOM;
    s->state = TTD_STATE_ENDED;
    pipe->ring->closed = 1;
}

static uint32_t size_with(uint32_t length)
{
    return ROUNDUP(sizeof(struct ttd_record) + length, 8);
}

/*
 * Room in the out ring for a record with a payload of at most so many bytes.
 * NULL without room: then the session is over, since the guest could not wait
 * here.
 */
struct ttd_record *ttd_place(struct ttd_session *s, uint32_t length)
{
    struct ttd_pipe *pipe = &s->out;
    uint32_t size = size_with(length), place, pad;

    if ( unlikely(s->trace.nr) )
        ttd_trace_flush(s, TTD_WINDOW_GOES_ON);
    place = pipe->at % pipe->size;
    pad = place + size > pipe->size ? pipe->size - place : 0;
    if ( unlikely(pad + size > room(pipe)) )
    {
        no_room(s);
        return NULL;
    }

    if ( unlikely(pad) )
    {
        struct ttd_record *end = (void *)pipe->records + place;

        end->size = pad;
        end->type = TTD_PAD;
        pipe->at += pad;
        place = 0;
    }

    return (void *)pipe->records + place;
}

/* The record is there. */
void ttd_placed(struct ttd_session *s, struct ttd_record *record,
                uint32_t length)
{
    struct ttd_pipe *pipe = &s->out;
    uint32_t size = size_with(length);

    record->size = size;
    record->length = length;
    pipe->at += size;
    smp_wmb();
    write_atomic(&pipe->ring->produced, pipe->at);

    s->count.records++;
    s->count.bytes += size;
}

/* Adds a record to the out ring.  False: there was no room. */
bool ttd_put(struct ttd_session *s, const struct ttd_record *record,
             const void *payload)
{
    struct ttd_record *to = ttd_place(s, record->length);

    if ( !to )
        return false;
    *to = *record;
    if ( record->length )
        memcpy(to->payload, payload, record->length);
    ttd_placed(s, to, record->length);

    return true;
}

/*
 * Takes the next record of the in ring into s->due.
 * Returns 1, 0 if the ring is empty, -ENODATA at its end, -EINVAL if it is
 * damaged.
 */
int ttd_get(struct ttd_session *s)
{
    struct ttd_pipe *pipe = &s->in;

    for ( ; ; )
    {
        uint32_t closed = read_atomic(&pipe->ring->closed);
        uint32_t place = pipe->at % pipe->size;
        uint64_t there;
        uint32_t size;
        uint8_t type;

        smp_rmb();
        there = read_atomic(&pipe->ring->produced) - pipe->at;
        smp_rmb();
        if ( !there )
            return closed ? -ENODATA : 0;

        size = read_atomic((uint32_t *)(pipe->records + place));
        type = pipe->records[place + offsetof(struct ttd_record, type)];
        if ( there > pipe->size || size > there || size < 8 || (size & 7) ||
             place + size > pipe->size )
            return -EINVAL;

        if ( type != TTD_PAD )
        {
            if ( size < sizeof(s->due) || size > sizeof(s->due_bytes) )
                return -EINVAL;
            memcpy(s->due_bytes, pipe->records + place, size);
            if ( s->due.length > size - sizeof(s->due) )
                return -EINVAL;
        }

        pipe->at += size;
        smp_mb();
        write_atomic(&pipe->ring->consumed, pipe->at);
        if ( type != TTD_PAD )
            return 1;
    }
}

void ttd_notify(struct ttd_session *s)
{
    BUILD_BUG_ON(TTD_VIRQ >= VIRQ_ARCH_0);
    s->out.notified = s->out.at;
    s->in.notified = s->in.at;
    send_global_virq(TTD_VIRQ);
}
