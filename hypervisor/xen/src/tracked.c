/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The areas that dom0 and Xen write while the guest runs or waits: shared_info,
 * vcpu_info, the console's and xenstore's pages.  granted.c has the rest.
 *
 * A copy is taken before somebody else can write: before softirqs run, so
 * before other vCPUs and timers do, and before the handlers of exits that may
 * write.  At the entry, the areas are compared with the copy if one was taken:
 * a recording writes the differences to the log, a replay undoes them.  The
 * guest itself does not run in between.  This is sound while only one physical
 * CPU runs dom0 and the guest.
 *
 * An area counts as zeros before the session begins, and when the guest moves
 * it: both in a recording and in its replay.
 */
#include <xen/domain_page.h>
#include <asm/p2m.h>
#include <public/hvm/params.h>
#include <public/io/console.h>
#include <public/io/xs_wire.h>
#include "private.h"

/* What is in use of an area's page. */
static unsigned int used_of(enum ttd_area which)
{
    switch ( which )
    {
    case TTD_AREA_SHARED_INFO:
        return ROUNDUP(sizeof(struct shared_info), sizeof(uint64_t));

    case TTD_AREA_VCPU_INFO:
        return sizeof(struct vcpu_info);

    case TTD_AREA_CONSOLE:
        return ROUNDUP(sizeof(struct xencons_interface), sizeof(uint64_t));

    case TTD_AREA_XENSTORE:
        return ROUNDUP(sizeof(struct xenstore_domain_interface),
                       sizeof(uint64_t));

    default:
        return PAGE_SIZE;
    }
}

void ttd_map_area(struct ttd_session *s, enum ttd_area which,
                  unsigned long frame)
{
    struct ttd_tracked *area = &s->area[which];

    if ( frame && !prepare_ring_for_helper(s->domain, frame, &area->page,
                                           &area->mapping) )
        area->size = used_of(which);
}

int ttd_track(struct ttd_session *s)
{
    s->area[TTD_AREA_SHARED_INFO].mapping = s->domain->shared_info;
    s->area[TTD_AREA_SHARED_INFO].size = used_of(TTD_AREA_SHARED_INFO);
    s->area[TTD_AREA_VCPU_INFO].size = used_of(TTD_AREA_VCPU_INFO);
    if ( is_pv_domain(s->domain) )
        ttd_pv_track(s);
    else
    {
        const uint64_t *params = s->domain->arch.hvm.params;

        ttd_map_area(s, TTD_AREA_CONSOLE, params[HVM_PARAM_CONSOLE_PFN]);
        ttd_map_area(s, TTD_AREA_XENSTORE, params[HVM_PARAM_STORE_PFN]);
    }
    ttd_granted_init(s);
    ttd_follow_frames(s);
    ttd_console_track(s);
    s->copied = true;

    if ( (s->options & TTD_OPTION_VERIFY_LAZY) && is_hvm_domain(s->domain) )
    {
        s->verify = xzalloc_bytes(TTD_PAGE_AREAS * PAGE_SIZE);
        if ( !s->verify )
            return -ENOMEM;
    }

    return 0;
}

void ttd_untrack(struct ttd_session *s)
{
    unsigned int i;

    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
    {
        struct ttd_tracked *area = &s->area[i];

        if ( area->page )
            destroy_ring_for_helper(&area->mapping, area->page);
        area->mapping = NULL;
        area->page = NULL;
    }
    ttd_untrack_granted(s);
    xfree(s->verify);
    s->verify = NULL;
}

/* The guest registers its vcpu_info in a place of its own. */
void ttd_follow_vcpu_info(struct ttd_session *s)
{
    struct ttd_tracked *area = &s->area[TTD_AREA_VCPU_INFO];
    void *there = s->vcpu->vcpu_info;
    void *shared = s->domain->shared_info;

    if ( there >= shared && there < shared + PAGE_SIZE )
        there = NULL;           /* it is tracked with the whole page */
    if ( there == area->mapping )
        return;
    area->mapping = there;
    memset(area->copy, 0, sizeof(area->copy));
}

void ttd_copy_areas(struct ttd_session *s)
{
    unsigned int i;

    if ( s->copied )
        return;
    s->copied = true;
    s->count.copies++;
    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].mapping )
            memcpy(s->area[i].copy, s->area[i].mapping, s->area[i].size);
    ttd_copy_frames(s);
}

void ttd_undo_writes(struct ttd_session *s)
{
    unsigned int i;

    if ( !s->copied )
        return;
    if ( is_pv_vcpu(s->vcpu) )
        ttd_pv_settle(s);
    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].mapping )
            memcpy(s->area[i].mapping, s->area[i].copy, s->area[i].size);
    ttd_undo_frames(s);
}

/*
 * TTD_OPTION_VERIFY_LAZY: a second copy at every exit, compared at every entry
 * for which no copy was taken.
 */
void ttd_verify_begin(struct ttd_session *s)
{
    unsigned int i;

    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].mapping )
            memcpy(s->verify[i], s->area[i].mapping, s->area[i].size);
    ttd_verify_granted_begin(s);
}

void ttd_verify_end(struct ttd_session *s)
{
    unsigned int i;

    if ( !s->granted.copied )
        ttd_verify_granted_end(s);
    if ( s->copied )
        return;
    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].mapping &&
             memcmp(s->verify[i], s->area[i].mapping, s->area[i].size) )
            printk(XENLOG_ERR "ttd: d%d: missed a write to area %u, exit %#x, clock %lu\n",
                   s->domain_id, i, s->event.code, s->clock);
}

/* Clears what a digest leaves out in a copy of a page. */
void ttd_blank_tracked(const struct ttd_session *s, mfn_t mfn, uint8_t *page)
{
    const struct vcpu *v = s->vcpu;
    unsigned int i;

    if ( mfn_eq(mfn, virt_to_mfn(s->domain->shared_info)) )
        memset(page, 0, PAGE_SIZE);
    if ( mfn_eq(mfn, v->vcpu_info_mfn) )
        memset(page + ((unsigned long)v->vcpu_info & ~PAGE_MASK), 0,
               sizeof(struct vcpu_info));
    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].page && mfn_eq(mfn, page_to_mfn(s->area[i].page)) )
            memset(page, 0, PAGE_SIZE);
}
