/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that backends write: pages that the guest grants to other domains,
 * and the status bits of its grant table, which Xen writes for them.
 *
 * A page is followed from its first writable mapping to the first entry after
 * its last unmapping; a page that Xen copies into on behalf of another domain,
 * to the next entry.  While it is followed, it is copied when another vCPU is
 * about to run, and if one did, compared before the guest is entered; the
 * differences go to the log.  So a page that a backend keeps mapped costs a copy
 * and a comparison each time that another vCPU runs.
 * The handlers of the guest's own exits write it through hooks of their own, so
 * they need no copy.
 *
 * A replay follows no pages: its guest has no backends, since its event
 * channels are never used.  The log's bytes are written to the guest's memory.
 *
 * The frames of the grant table are copied and compared like the other tracked
 * areas.  A frame that the guest adds has the same contents in both runs.
 *
 * Only the guest's own vCPU, or its session's end, removes pages.
 */
#include <xen/domain_page.h>
#include <xen/grant_table.h>
#include <asm/hvm/hvm.h>
#include <asm/p2m.h>
#include "private.h"

/* Equal words in a page that cost less than the head of another record. */
#define GAP 8

struct ttd_page {
    struct list_head list;
    struct page_info *page;     /* with a reference of ours */
    unsigned int mappings;      /* that can write; 0: until the next entry */
    uint8_t *copy;              /* as the guest left it */
};

void ttd_granted_init(struct ttd_session *s)
{
    unsigned int i;

    spin_lock_init(&s->granted.lock);
    for ( i = 0; i < ARRAY_SIZE(s->granted.pages); i++ )
        INIT_LIST_HEAD(&s->granted.pages[i]);
    INIT_LIST_HEAD(&s->granted.sent);
    s->granted.copied = true;   /* the guest has not run yet */
}

/* ------------------------------------------------------- which pages */

static struct list_head *list_of(struct ttd_session *s,
                                 const struct page_info *page)
{
    return &s->granted.pages[mfn_x(page_to_mfn(page)) %
                             ARRAY_SIZE(s->granted.pages)];
}

static struct ttd_page *find(struct ttd_session *s,
                             const struct page_info *page)
{
    struct ttd_page *followed;

    list_for_each_entry ( followed, list_of(s, page), list )
        if ( followed->page == page )
            return followed;

    return NULL;
}

struct ttd_session *ttd_recording_of(const struct domain *d)
{
    const struct vcpu *v = d->vcpu ? d->vcpu[0] : NULL;
    struct ttd_session *s = v ? ttd_of(v) : NULL;

    return s && !s->replaying ? s : NULL;
}

static void renew_copy(const struct ttd_page *followed)
{
    const void *now = __map_domain_page(followed->page);

    memcpy(followed->copy, now, PAGE_SIZE);
    unmap_domain_page(now);
}

/* By words: Xen's memcmp() goes byte by byte, eight times as long. */
static bool differs(const struct ttd_page *followed, const void *there)
{
    const uint64_t *now = there, *then = (const void *)followed->copy;
    unsigned int i;

    for ( i = 0; i < PAGE_SIZE / sizeof(*now); i += 4 )
        if ( (now[i] ^ then[i]) | (now[i + 1] ^ then[i + 1]) |
             (now[i + 2] ^ then[i + 2]) | (now[i + 3] ^ then[i + 3]) )
            return true;

    return false;
}

static void forget(struct ttd_page *followed)
{
    put_page(followed->page);
    free_xenheap_page(followed->copy);
    xfree(followed);
}

/* Takes a page of the domain; NULL if there is no memory, or too many. */
static struct ttd_page *take(struct ttd_session *s, struct page_info *page)
{
    struct ttd_page *followed;

    if ( s->granted.nr_pages >= TTD_PAGES_MAX )
        return NULL;
    followed = xzalloc(struct ttd_page);
    if ( !followed )
        return NULL;
    followed->copy = alloc_xenheap_page();
    if ( !followed->copy || !get_page(page, s->domain) )
    {
        if ( followed->copy )
            free_xenheap_page(followed->copy);
        xfree(followed);
        return NULL;
    }
    followed->page = page;
    renew_copy(followed);

    return followed;
}

static bool is_area(const struct ttd_session *s, const struct page_info *page)
{
    unsigned int i;

    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].page == page )
            return true;

    return false;
}

bool ttd_is_written_by_others(struct ttd_session *s,
                              const struct page_info *page)
{
    bool there;

    spin_lock(&s->granted.lock);
    there = find(s, page) != NULL;
    spin_unlock(&s->granted.lock);

    return there || is_area(s, page);
}

static void follow(struct domain *d, mfn_t mfn, unsigned int mappings)
{
    struct ttd_session *s = ttd_recording_of(d);
    struct ttd_page *followed;
    struct page_info *page;

    if ( likely(!s) || !mfn_valid(mfn) )
        return;
    page = mfn_to_page(mfn);
    if ( page_get_owner(page) != d || is_area(s, page) )
        return;
    if ( s->vcpu->is_running && s->vcpu != current )
        s->granted.failed = "another domain maps its memory while it runs: dom0 and the guest need one physical CPU";

    spin_lock(&s->granted.lock);
    followed = find(s, page);
    if ( followed )
        followed->mappings += mappings;
    spin_unlock(&s->granted.lock);
    if ( followed )
        return;

    followed = take(s, page);
    if ( !followed )
    {
        s->granted.failed = "too many of its pages are mapped by other domains";
        return;
    }
    followed->mappings = mappings;
    spin_lock(&s->granted.lock);
    list_add_tail(&followed->list, list_of(s, page));
    s->granted.nr_pages++;
    spin_unlock(&s->granted.lock);
}

void ttd_page_mapped(struct domain *d, mfn_t mfn)
{
    follow(d, mfn, 1);
}

void ttd_page_written(struct domain *d, mfn_t mfn)
{
    follow(d, mfn, 0);
}

void ttd_page_unmapped(struct domain *d, mfn_t mfn)
{
    struct ttd_session *s = ttd_recording_of(d);
    struct ttd_page *followed;

    if ( likely(!s) || !mfn_valid(mfn) )
        return;
    spin_lock(&s->granted.lock);
    followed = find(s, mfn_to_page(mfn));
    if ( followed && followed->mappings )
        followed->mappings--;
    spin_unlock(&s->granted.lock);
}

/* Removes pages: all of them, or those that nobody can write any more. */
static void drop(struct ttd_session *s, bool all)
{
    struct ttd_page *followed, *next;
    unsigned int i;

    for ( i = 0; i < ARRAY_SIZE(s->granted.pages); i++ )
        list_for_each_entry_safe ( followed, next, &s->granted.pages[i], list )
        {
            if ( followed->mappings && !all )
                continue;
            spin_lock(&s->granted.lock);
            list_del(&followed->list);
            s->granted.nr_pages--;
            spin_unlock(&s->granted.lock);
            forget(followed);
        }
}

/* --------------------------------------------------- copies and records */

static void copy_pages(struct ttd_session *s)
{
    const struct ttd_page *followed;
    unsigned int i;

    for ( i = 0; i < ARRAY_SIZE(s->granted.pages); i++ )
        list_for_each_entry ( followed, &s->granted.pages[i], list )
            renew_copy(followed);
}

void ttd_copy_granted(struct ttd_session *s)
{
    if ( s->granted.copied )
        return;
    s->granted.copied = true;
    copy_pages(s);
}

/* Records a page's changes.  False: there is no room yet. */
static bool record_page(struct ttd_session *s, struct ttd_page *followed,
                        const struct cpu_user_regs *regs)
{
    const void *now = __map_domain_page(followed->page);
    gfn_t gfn = mfn_to_gfn(s->domain, page_to_mfn(followed->page));
    bool fits = true;

    if ( VALID_M2P(gfn_x(gfn)) && differs(followed, now) )
    {
        fits = !ttd_pipe_low(&s->out);
        if ( fits )
        {
            if ( s->open )
                ttd_record_result(s, regs);
            ttd_take_position(s);
            ttd_record_changes(s, TTD_AREA_PAGES, gfn_to_gaddr(gfn), now,
                               followed->copy, PAGE_SIZE, GAP);
            memcpy(followed->copy, now, PAGE_SIZE);
        }
    }
    unmap_domain_page(now);

    return fits;
}

/*
 * What others read and wrote of the guest's pages since it last ran.  This may
 * be more than the ring holds: the guest waits for room, and the rest follows
 * when it is about to be entered again.
 */
void ttd_record_granted(struct ttd_session *s, const struct cpu_user_regs *regs)
{
    struct ttd_page *followed;
    unsigned int i;

    if ( s->granted.failed )
    {
        printk(XENLOG_ERR "ttd: d%d: %s\n", s->domain_id, s->granted.failed);
        ttd_end(s, TTD_END_UNSUPPORTED);
        return;
    }
    if ( !list_empty(&s->granted.sent) && !ttd_record_sent(s, regs) )
    {
        ttd_hold(s);
        return;
    }
    if ( !s->granted.copied || !s->granted.nr_pages )
        return;

    for ( i = 0; i < ARRAY_SIZE(s->granted.pages); i++ )
        list_for_each_entry ( followed, &s->granted.pages[i], list )
            if ( !record_page(s, followed, regs) )
            {
                ttd_hold(s);
                return;
            }
    drop(s, false);
}

/* TTD_OPTION_VERIFY_LAZY, as for the other areas. */
void ttd_verify_granted_begin(struct ttd_session *s)
{
    copy_pages(s);
}

void ttd_verify_granted_end(const struct ttd_session *s)
{
    const struct ttd_page *followed;
    unsigned int i;

    for ( i = 0; i < ARRAY_SIZE(s->granted.pages); i++ )
        list_for_each_entry ( followed, &s->granted.pages[i], list )
        {
            const void *now = __map_domain_page(followed->page);

            if ( differs(followed, now) )
                printk(XENLOG_ERR "ttd: d%d: missed a write to frame %lx, exit %#x, clock %lu\n",
                       s->domain_id, mfn_x(page_to_mfn(followed->page)),
                       s->event.code, s->clock);
            unmap_domain_page(now);
        }
}

/*
 * The guest that is recorded maps or copies pages of other domains: what it
 * reads there is in no log.
 */
bool ttd_uses_foreign_pages(const struct ttd_session *s,
                            const struct cpu_user_regs *regs)
{
    if ( s->event.kind != TTD_KIND_HYPERCALL ||
         s->event.info != __HYPERVISOR_grant_table_op )
        return false;

    switch ( ttd_first_argument(s, regs) & 0xfff )
    {
    case GNTTABOP_map_grant_ref:
    case GNTTABOP_transfer:
    case GNTTABOP_copy:
        return true;
    }

    return false;
}

/* ------------------------------------------------- the grant table */

/* Finds frames that the table has got or lost; with IRQs enabled. */
void ttd_follow_frames(struct ttd_session *s)
{
    unsigned int status, i;
    void *there;

    for ( status = 0; status < 2; status++ )
        for ( i = 0; ; i++ )
        {
            struct ttd_frame *frame = &s->granted.frame[status][i];

            there = gnttab_peek_frame(s->domain, status, i);
            if ( i == TTD_FRAMES )
            {
                if ( there )
                    s->granted.failed = "its grant table is too large";
                break;
            }
            if ( likely(there == frame->mapping) )
            {
                if ( !there )
                    break;
                continue;
            }
            if ( there && !frame->copy )
                frame->copy = alloc_xenheap_page();
            frame->mapping = frame->copy ? there : NULL;
            if ( !there )
                continue;
            if ( !frame->copy )
            {
                s->granted.failed = "no memory to follow its grant table";
                break;
            }
            if ( s->clock )
                memcpy(frame->copy, there, PAGE_SIZE);
            else
                memset(frame->copy, 0, PAGE_SIZE);
        }
}

/* For each frame of the table, and of its status: they have no gaps. */
#define for_each_frame(s, status, i)                                       \
    for ( (status) = 0; (status) < 2; (status)++ )                         \
        for ( (i) = 0; (i) < TTD_FRAMES &&                                 \
                       (s)->granted.frame[status][i].mapping; (i)++ )

void ttd_copy_frames(struct ttd_session *s)
{
    unsigned int status, i;

    for_each_frame ( s, status, i )
        memcpy(s->granted.frame[status][i].copy,
               s->granted.frame[status][i].mapping, PAGE_SIZE);
}

void ttd_undo_frames(struct ttd_session *s)
{
    unsigned int status, i;

    for_each_frame ( s, status, i )
        memcpy(s->granted.frame[status][i].mapping,
               s->granted.frame[status][i].copy, PAGE_SIZE);
}

void ttd_record_frames(struct ttd_session *s)
{
    unsigned int status, i;

    for_each_frame ( s, status, i )
        ttd_record_changes(s, status ? TTD_AREA_GRANT_STATUS
                                     : TTD_AREA_GRANTS, i * PAGE_SIZE,
                           s->granted.frame[status][i].mapping,
                           s->granted.frame[status][i].copy, PAGE_SIZE, 0);
}

/* A replay's due record is a write to the table. */
bool ttd_write_frame(struct ttd_session *s)
{
    unsigned int place = s->due.info & ~PAGE_MASK;
    uint64_t i = s->due.info >> PAGE_SHIFT;
    const struct ttd_frame *frame;

    if ( i >= TTD_FRAMES || s->due.length > PAGE_SIZE - place )
        return false;
    frame = &s->granted.frame[s->due.code == TTD_AREA_GRANT_STATUS][i];
    if ( !frame->mapping )
        return false;
    memcpy(frame->mapping + place, s->due.payload, s->due.length);
    memcpy(frame->copy + place, s->due.payload, s->due.length);

    return true;
}

/* ------------------------------------------------------------------- */

/*
 * In a copy of a page that a digest is made of: a page that others may have
 * written since is as the guest left it; the grant table is left out.
 */
void ttd_settle_granted(struct ttd_session *s, mfn_t mfn, uint8_t *page)
{
    const struct ttd_page *followed = find(s, mfn_to_page(mfn));
    unsigned int status, i;

    if ( followed )
        memcpy(page, followed->copy, PAGE_SIZE);
    for_each_frame ( s, status, i )
        if ( mfn_eq(mfn, virt_to_mfn(s->granted.frame[status][i].mapping)) )
            memset(page, 0, PAGE_SIZE);
}

void ttd_untrack_granted(struct ttd_session *s)
{
    unsigned int i;

    drop(s, true);
    ttd_forget_sent(s);
    for ( i = 0; i < 2 * TTD_FRAMES; i++ )
    {
        struct ttd_frame *frame =
            &s->granted.frame[i / TTD_FRAMES][i % TTD_FRAMES];

        if ( frame->copy )
            free_xenheap_page(frame->copy);
        memset(frame, 0, sizeof(*frame));
    }
}
