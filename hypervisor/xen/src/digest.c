/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests of guest memory, one a page, in steps that dom0 asks for while the
 * guest is paused.  Two runs that agree so far have the same digests at the
 * same clock.
 */
#include <xen/domain_page.h>
#include <xen/guest_access.h>
#include <asm/p2m.h>
#include "private.h"

#define LIMIT 4096

#define LANES 4

/* Four lanes: a multiplication has no need to wait for the last one. */
static void add_words(uint64_t *lane, const uint64_t *words)
{
    unsigned int j;

    for ( j = 0; j < LANES; j++ )
    {
        lane[j] = (lane[j] ^ words[j]) * 0x9e3779b97f4a7c15ul;
        lane[j] ^= lane[j] >> 29;
    }
}

uint64_t ttd_hash_memory(const void *memory, unsigned int size)
{
    uint64_t lane[LANES] = { 1, 2, 3, 4 }, hash = 5, rest[LANES] = {};
    unsigned int j;

    for ( ; size >= sizeof(rest); size -= sizeof(rest) )
    {
        add_words(lane, memory);
        memory += sizeof(rest);
    }
    if ( size )
    {
        memcpy(rest, memory, size);
        add_words(lane, rest);
    }
    for ( j = 0; j < LANES; j++ )
    {
        hash = (hash ^ lane[j]) * 0xbf58476d1ce4e5b9ul;
        hash ^= hash >> 32;
    }

    return hash;
}

uint64_t ttd_digest_page(struct ttd_session *s, mfn_t mfn, void *buffer)
{
    const void *page = map_domain_page(mfn);

    memcpy(buffer, page, PAGE_SIZE);
    unmap_domain_page(page);
    ttd_blank_tracked(s, mfn, buffer);
    ttd_settle_granted(s, mfn, buffer);
    if ( is_pv_domain(s->domain) )
        ttd_pv_translate(s, buffer);

    return ttd_hash_memory(buffer, PAGE_SIZE);
}

int ttd_digest(struct ttd_session *s, struct ttd_op *op)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(s->domain);
    unsigned long gfn = op->digest.gfn, end;
    unsigned int limit = min_t(unsigned int, op->digest.limit, LIMIT);
    XEN_GUEST_HANDLE(uint8) to;
    void *buffer = alloc_xenheap_page();
    int rc = 0;

    if ( !buffer )
        return -ENOMEM;
    to.p = (void *)op->digest.buffer;
    end = domain_get_maximum_gpfn(s->domain);
    op->digest.count = 0;

    while ( gfn <= end && op->digest.count < limit )
    {
        struct ttd_page_digest digest = { .gfn = gfn };
        unsigned int order = 0;
        p2m_access_t access;
        p2m_type_t type;
        mfn_t mfn = get_gfn_type_access(p2m, gfn, &type, &access, 0, &order);
        bool ram = p2m_is_ram(type) && mfn_valid(mfn);

        if ( ram )
            digest.hash = ttd_digest_page(s, mfn, buffer);
        put_gfn(s->domain, gfn);
        if ( !ram )
        {
            gfn = (gfn | ((1ul << order) - 1)) + 1;
            continue;
        }
        if ( copy_to_guest_offset(to, op->digest.count * sizeof(digest),
                                  (uint8_t *)&digest, sizeof(digest)) )
        {
            rc = -EFAULT;
            break;
        }
        op->digest.count++;
        gfn++;
    }
    op->digest.gfn = gfn > end ? ~0ul : gfn;
    free_xenheap_page(buffer);

    return rc;
}
