/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests of a PV guest's memory, by the pages that the guest numbers itself
 * (its pseudo-physical frames).
 *
 * Two domains have other machine frames.  Page tables are left out.  In other
 * pages, a word that is the number or the address of a frame of the guest
 * counts as that of the pseudo-physical frame: start_info, the list of frames,
 * and what is left of them on stacks.
 */
#include <xen/guest_access.h>
#include "private.h"

#define LIMIT 4096u

/* The pseudo-physical frame of one of the domain's frames; false for others. */
static bool translate(const struct domain *d, uint64_t *frame)
{
    mfn_t mfn = _mfn(*frame);

    if ( !mfn_valid(mfn) || page_get_owner(mfn_to_page(mfn)) != d )
        return false;
    *frame = get_gpfn_from_mfn(mfn_x(mfn));

    return true;
}

void ttd_pv_translate(const struct ttd_session *s, uint64_t *page)
{
    unsigned int i;

    for ( i = 0; i < PAGE_SIZE / sizeof(*page); i++ )
    {
        uint64_t number = page[i], address = page[i] >> PAGE_SHIFT;

        if ( !number || number & ~PADDR_MASK )
            continue;
        if ( translate(s->domain, &number) )
            page[i] = number;
        else if ( translate(s->domain, &address) )
            page[i] = (address << PAGE_SHIFT) | (page[i] & ~PAGE_MASK);
    }
}

static bool is_page_table(const struct page_info *page)
{
    switch ( page->u.inuse.type_info & PGT_type_mask )
    {
    case PGT_l1_page_table:
    case PGT_l2_page_table:
    case PGT_l3_page_table:
    case PGT_l4_page_table:
        return true;
    }

    return false;
}

/* The machine frames of `nr` pages from `first` on. Returns the last page. */
static unsigned long find_frames(struct domain *d, unsigned long first,
                                 unsigned int nr, unsigned long *frames)
{
    const struct page_info *page;
    unsigned long last = 0;

    memset(frames, 0, nr * sizeof(*frames));
    spin_lock(&d->page_alloc_lock);
    page_list_for_each ( page, &d->page_list )
    {
        unsigned long mfn = mfn_x(page_to_mfn(page));
        unsigned long pfn = get_gpfn_from_mfn(mfn);

        if ( !VALID_M2P(pfn) || is_page_table(page) )
            continue;
        last = max(last, pfn);
        if ( pfn >= first && pfn - first < nr )
            frames[pfn - first] = mfn;
    }
    spin_unlock(&d->page_alloc_lock);

    return last;
}

int ttd_pv_digest(struct ttd_session *s, struct ttd_op *op)
{
    unsigned int nr = min(op->digest.limit, LIMIT), i;
    unsigned int order = get_order_from_bytes(LIMIT * sizeof(unsigned long));
    unsigned long first = op->digest.gfn, last;
    unsigned long *frames = alloc_xenheap_pages(order, 0);
    void *buffer = alloc_xenheap_page();
    XEN_GUEST_HANDLE(uint8) to;
    int rc = frames && buffer ? 0 : -ENOMEM;

    to.p = (void *)op->digest.buffer;
    op->digest.count = 0;
    last = rc ? 0 : find_frames(s->domain, first, nr, frames);
    for ( i = 0; !rc && i < nr; i++ )
    {
        struct ttd_page_digest digest = { .gfn = first + i };

        if ( !frames[i] )
            continue;
        digest.hash = ttd_digest_page(s, _mfn(frames[i]), buffer);
        if ( copy_to_guest_offset(to, op->digest.count * sizeof(digest),
                                  (uint8_t *)&digest, sizeof(digest)) )
            rc = -EFAULT;
        else
            op->digest.count++;
    }
    op->digest.gfn = last < first + nr ? ~0ul : first + nr;
    if ( frames )
        free_xenheap_pages(frames, order);
    if ( buffer )
        free_xenheap_page(buffer);

    return rc;
}
