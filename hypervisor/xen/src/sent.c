/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What leaves the guest: frames that it sends, blocks that it writes.
 *
 * A backend takes them out of pages that the guest grants: it maps a page to
 * read only, or lets Xen copy a part of it.  At that moment a recording takes a
 * digest of the page or part; the records follow when the guest is entered
 * again.  The guest has not run in between.
 *
 * A replay has no backends.  At the record's position it takes a digest of its
 * own memory there, and compares.
 *
 * A page that others can write is left out: it belongs to a ring, whose
 * contents a replay gets from the log, or it stays mapped for all requests.
 */
#include <xen/domain_page.h>
#include <asm/p2m.h>
#include "private.h"

struct ttd_sent {
    struct list_head list;
    uint64_t gpa, digest;
    unsigned int size;
};

void ttd_page_read(struct domain *d, mfn_t mfn, unsigned int offset,
                   unsigned int size)
{
    struct ttd_session *s = ttd_recording_of(d);
    struct ttd_sent *sent;
    const void *page;
    gfn_t gfn;

    if ( likely(!s) || s->state == TTD_STATE_ENDED || !size ||
         !mfn_valid(mfn) || page_get_owner(mfn_to_page(mfn)) != d ||
         ttd_is_written_by_others(s, mfn_to_page(mfn)) )
        return;
    gfn = mfn_to_gfn(d, mfn);
    if ( !VALID_M2P(gfn_x(gfn)) )
        return;
    sent = s->granted.nr_sent < TTD_PAGES_MAX ? xmalloc(struct ttd_sent) : NULL;
    if ( !sent )
    {
        s->granted.failed = "no memory to follow what it sends";
        return;
    }

    page = map_domain_page(mfn);
    sent->gpa = gfn_to_gaddr(gfn) + offset;
    sent->size = size;
    sent->digest = ttd_hash_memory(page + offset, size);
    unmap_domain_page(page);

    spin_lock(&s->granted.lock);
    list_add_tail(&sent->list, &s->granted.sent);
    s->granted.nr_sent++;
    spin_unlock(&s->granted.lock);
}

static struct ttd_sent *first(struct ttd_session *s)
{
    return list_first_entry_or_null(&s->granted.sent, struct ttd_sent, list);
}

static void forget(struct ttd_session *s, struct ttd_sent *sent)
{
    spin_lock(&s->granted.lock);
    list_del(&sent->list);
    s->granted.nr_sent--;
    spin_unlock(&s->granted.lock);
    xfree(sent);
}

static void put(struct ttd_session *s, uint64_t gpa, unsigned int size,
                uint64_t digest, uint8_t flags)
{
    struct ttd_record record;

    ttd_new_record(s, &record, TTD_FOREIGN_READ);
    record.flags = flags;
    record.info = gpa;
    record.mask = size;
    record.value = digest;
    ttd_put(s, &record, NULL);
}

/* False: there is no room for all records yet. */
bool ttd_record_sent(struct ttd_session *s, const struct cpu_user_regs *regs)
{
    bool asynchronous = s->event.asynchronous;
    struct ttd_sent *sent;

    if ( s->open )
        ttd_record_result(s, regs);
    ttd_take_position(s);
    while ( (sent = first(s)) != NULL )
    {
        if ( ttd_pipe_low(&s->out) )
            return false;
        if ( asynchronous )
            s->count.asynchronous++;
        put(s, sent->gpa, sent->size, sent->digest,
            asynchronous ? TTD_AT_ASYNC : 0);
        forget(s, sent);
    }

    return true;
}

void ttd_forget_sent(struct ttd_session *s)
{
    struct ttd_sent *sent;

    while ( (sent = first(s)) != NULL )
        forget(s, sent);
}

/*
 * A replay's due record.  The replay's own log gets its own digest.  False: it
 * differs.
 */
bool ttd_compare_sent(struct ttd_session *s)
{
    unsigned int offset = s->due.info & ~PAGE_MASK;
    struct page_info *page = NULL;
    uint64_t digest = 0;
    const void *there;

    if ( s->due.mask <= PAGE_SIZE - offset )
        page = get_page_from_gfn(s->domain, s->due.info >> PAGE_SHIFT, NULL,
                                 P2M_ALLOC);
    if ( page )
    {
        there = __map_domain_page(page);
        digest = ttd_hash_memory(there + offset, s->due.mask);
        unmap_domain_page(there);
        put_page(page);
    }
    put(s, s->due.info, s->due.mask, digest, s->due.flags);

    return digest == s->due.value;
}
