/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recording.
 *
 * A synchronous exit stays open until the guest is entered again: only then
 * are its results final.  What its handler writes to guest memory is kept
 * aside, since the EXIT record goes first.
 */
#include <asm/hvm/hvm.h>
#include "private.h"

#define EVENT_VALID  (1ul << 31)
#define EVENT_TYPE(event) (((event) >> 8) & 7)

void ttd_record_exit(struct ttd_session *s)
{
    s->open = true;
    s->nr_early = 0;
}

/* What the guest gave to the exit or got from it, for readers of the log. */
static uint64_t value_of(const struct ttd_session *s,
                         const struct cpu_user_regs *regs)
{
    const struct ttd_event *event = &s->event;
    unsigned int bytes = (event->info >> 16) & 0xff;
    uint64_t mask = bytes >= 4 ? 0xffffffff : (1ul << (bytes * 8)) - 1;

    switch ( event->kind )
    {
    case TTD_KIND_RDTSC:
    case TTD_KIND_RDMSR:
        return (regs->rdx << 32) | (uint32_t)regs->rax;

    case TTD_KIND_WRMSR:
        return (s->before.word[TTD_RDX] << 32) |
               (uint32_t)s->before.word[TTD_RAX];

    case TTD_KIND_PORT_READ:
        return (event->info >> 24) & 1 ? 0 : regs->rax & mask;

    case TTD_KIND_PORT_WRITE:
        return (event->info >> 24) & 1 ? 0 : s->before.word[TTD_RAX] & mask;

    case TTD_KIND_HYPERCALL:
        return regs->rax;

    case TTD_KIND_CONTROL_WRITE:
        return event->info == 3 && is_hvm_vcpu(s->vcpu)
               ? s->vcpu->arch.hvm.guest_cr[3] : 0;
    }

    return 0;
}

struct changes {
    uint32_t mask;
    uint64_t *next;
};

/* A word after the exit.  With every exit, for each register. */
static always_inline void add(struct ttd_registers *before,
                              struct changes *changes, unsigned int i,
                              uint64_t now)
{
    if ( likely(now == before->word[i]) )
        return;
    changes->mask |= 1u << i;
    *changes->next++ = i == TTD_RIP ? now - before->word[i] : now;
    before->word[i] = now;
}

/*
 * Ends the open exit: its record.  s->before becomes the state in which the
 * guest is entered.
 */
void ttd_close_exit(struct ttd_session *s, const struct cpu_user_regs *regs,
                    uint64_t injected)
{
    struct ttd_registers *before = &s->before;
    struct ttd_record *record = ttd_place(s, sizeof(uint64_t) * TTD_WORDS);
    uint64_t nowhere[TTD_WORDS], *words = nowhere;
    struct changes changes = { .mask = 0 };

    if ( record )
    {
        words = (void *)record->payload;
        record->type = TTD_EXIT;
        record->flags = 0;
        record->kind = s->event.kind;
        record->reserved = 0;
        record->clock = s->clock;
        record->rip = before->word[TTD_RIP];
        record->instructions = s->instructions;
        record->info = s->event.info;
        record->value = value_of(s, regs);
        record->hash = ttd_hash(before, &s->event);
        record->code = s->event.code;
    }

    changes.next = words;
    add(before, &changes, TTD_RAX, regs->rax);
    add(before, &changes, TTD_RCX, regs->rcx);
    add(before, &changes, TTD_RDX, regs->rdx);
    add(before, &changes, TTD_RBX, regs->rbx);
    add(before, &changes, TTD_RSP, regs->rsp);
    add(before, &changes, TTD_RBP, regs->rbp);
    add(before, &changes, TTD_RSI, regs->rsi);
    add(before, &changes, TTD_RDI, regs->rdi);
    add(before, &changes, TTD_R8, regs->r8);
    add(before, &changes, TTD_R9, regs->r9);
    add(before, &changes, TTD_R10, regs->r10);
    add(before, &changes, TTD_R11, regs->r11);
    add(before, &changes, TTD_R12, regs->r12);
    add(before, &changes, TTD_R13, regs->r13);
    add(before, &changes, TTD_R14, regs->r14);
    add(before, &changes, TTD_R15, regs->r15);
    add(before, &changes, TTD_RIP, regs->rip);
    add(before, &changes, TTD_RFLAGS, regs->rflags);
    add(before, &changes, TTD_INJECTED, injected);
    before->word[TTD_INJECTED] = 0;

    if ( record )
    {
        record->mask = changes.mask;
        ttd_placed(s, record, (changes.next - words) * sizeof(*words));
    }

    s->open = false;
    s->clock++;
    s->instructions = 0;
    s->rip = before->word[TTD_RIP];
    s->hash_is_due = true;
}

/* The exception among the events to deliver; 0: none. */
static uint64_t exception(uint64_t injected)
{
    return (injected & EVENT_VALID) &&
           EVENT_TYPE(injected) != X86_EVENTTYPE_EXT_INTR ? injected : 0;
}

/* Ends the open exit, and puts the writes of its handler after it. */
void ttd_record_result(struct ttd_session *s, const struct cpu_user_regs *regs)
{
    ttd_close_exit(s, regs, exception(s->machine->get_injection(s->vcpu)));
    ttd_record_early(s);
}

/* Puts the writes that were kept aside. */
void ttd_record_early(struct ttd_session *s)
{
    struct ttd_record record;
    unsigned int i;

    for ( i = 0; i < s->nr_early; i++ )
    {
        ttd_new_record(s, &record, TTD_GUEST_WRITE);
        record.info = s->early[i].gpa;
        record.length = s->early[i].size;
        if ( s->event.asynchronous )
            record.flags |= TTD_AT_ASYNC;
        ttd_put(s, &record, s->early[i].bytes);
        s->count.guest_writes++;
    }
    s->nr_early = 0;
}

/* Whether a write goes on where the last one ended, and fits there: a list. */
static bool joins_last(const struct ttd_session *s, paddr_t gpa,
                       unsigned int size)
{
    unsigned int last = s->nr_early - 1;

    return s->nr_early && s->early[last].gpa + s->early[last].size == gpa &&
           s->early[last].size + size <= sizeof(s->early[last].bytes);
}

void ttd_guest_written(struct vcpu *v, paddr_t gpa, const void *buf,
                       unsigned int size)
{
    struct ttd_session *s = ttd_of(v);
    struct ttd_early *last;

    if ( v != current || s->replaying || s->state == TTD_STATE_ENDED )
        return;
    /* For PV guests Xen does, when it switches to them: times. */
    if ( !s->open && !is_pv_vcpu(v) )
    {
        printk(XENLOG_ERR "ttd: d%d: Xen writes to the guest's memory at %#lx between two exits: a replay would lack it\n",
               s->domain_id, gpa);
        ttd_end(s, TTD_END_UNSUPPORTED);
        return;
    }

    while ( size )
    {
        unsigned int part = min_t(unsigned int, size, sizeof(last->bytes));

        if ( !joins_last(s, gpa, part) )
        {
            if ( s->nr_early == TTD_EARLY_WRITES )
            {
                printk(XENLOG_ERR "ttd: d%d: exit %#x writes too much of the guest's memory\n",
                       s->domain_id, s->event.code);
                ttd_end(s, TTD_END_UNSUPPORTED);
                return;
            }
            s->early[s->nr_early].gpa = gpa;
            s->early[s->nr_early++].size = 0;
        }
        last = &s->early[s->nr_early - 1];
        if ( buf )
        {
            memcpy(last->bytes + last->size, buf, part);
            buf += part;
        }
        else
            memset(last->bytes + last->size, 0, part);
        last->size += part;
        gpa += part;
        size -= part;
    }
}

/* One stretch of an area whose words differ, without its equal ends. */
static void put_stretch(struct ttd_session *s, enum ttd_area which,
                        uint64_t place, const uint8_t *now,
                        const uint8_t *then, unsigned int from, unsigned int to)
{
    struct ttd_record record;

    while ( now[from] == then[from] )
        from++;
    while ( now[to - 1] == then[to - 1] )
        to--;

    ttd_new_record(s, &record, TTD_SHARED_WRITE);
    record.code = which;
    record.info = place + from;
    record.length = to - from;
    if ( s->event.asynchronous )
    {
        record.flags |= TTD_AT_ASYNC;
        s->count.asynchronous++;
    }
    ttd_put(s, &record, now + from);
    s->count.shared_writes++;
}

/*
 * Records where an area, or a part of it at `place`, differs from its copy.
 * Equal words, `gap` of them at most, do not end a stretch.
 */
void ttd_record_changes(struct ttd_session *s, enum ttd_area which,
                        uint64_t place, const uint8_t *now,
                        const uint8_t *then, unsigned int size,
                        unsigned int gap)
{
    const uint64_t *new = (const void *)now, *old = (const void *)then;
    unsigned int words = size / sizeof(*new);
    unsigned int i = 0, from, to;

    while ( i < words )
    {
        /* Mostly all are equal. */
        for ( ; i + 4 <= words; i += 4 )
            if ( new[i] != old[i] || new[i + 1] != old[i + 1] ||
                 new[i + 2] != old[i + 2] || new[i + 3] != old[i + 3] )
                break;
        for ( ; i < words && new[i] == old[i]; i++ )
            ;
        if ( i == words )
            break;
        from = i;
        to = ++i;
        for ( ; i < words && i - to <= gap &&
              (i + 1 - from) * sizeof(*new) <= TTD_PAYLOAD_MAX; i++ )
            if ( new[i] != old[i] )
                to = i + 1;
        i = to;
        put_stretch(s, which, place, now, then, from * sizeof(*new),
                    to * sizeof(*new));
    }
}

static void record_areas(struct ttd_session *s)
{
    unsigned int i;

    if ( is_pv_vcpu(s->vcpu) )
        ttd_pv_settle(s);
    for ( i = 0; i < TTD_PAGE_AREAS; i++ )
        if ( s->area[i].mapping )
            ttd_record_changes(s, i, 0, s->area[i].mapping, s->area[i].copy,
                               s->area[i].size, 0);
    ttd_record_frames(s);
}

/*
 * A break and the guest's shutdown end the open exit early: the guest may never
 * be entered again.
 */
void ttd_record_before_entry(struct ttd_session *s,
                             const struct cpu_user_regs *regs)
{
    bool over = s->domain->is_shutting_down;

    if ( !s->open || (!over && !ttd_breaks_at(s, s->clock + 1)) )
    {
        if ( s->granted.failed || s->granted.copied ||
             !list_empty(&s->granted.sent) )
            ttd_record_granted(s, regs);
        return;
    }

    ttd_record_result(s, regs);
    if ( over )
    {
        ttd_copy_granted(s);
        ttd_end(s, TTD_END_SHUTDOWN);
    }
    else if ( s->state == TTD_STATE_RUNNING )
        ttd_take_break(s);
}

/* injected: the event to deliver. */
void ttd_record_entry(struct ttd_session *s, const struct cpu_user_regs *regs,
                      uint64_t injected)
{
    struct ttd_record record;

    if ( s->open )
    {
        ttd_close_exit(s, regs, exception(injected));
        if ( s->nr_early )
            ttd_record_early(s);
    }
    else
        ttd_take_position(s);

    if ( s->verify )
        ttd_verify_end(s);
    if ( s->copied )
    {
        record_areas(s);
        ttd_console_put(s, false);
    }

    if ( (injected & EVENT_VALID) &&
         EVENT_TYPE(injected) == X86_EVENTTYPE_EXT_INTR )
    {
        ttd_new_record(s, &record, TTD_INTERRUPT);
        record.info = injected & 0xff;
        if ( s->event.asynchronous )
        {
            bool window = s->window && !s->shadow_rip;

            record.flags |= window ? TTD_AT_WINDOW : TTD_AT_ASYNC;
            if ( !window )
                s->count.asynchronous++;
        }
        ttd_put(s, &record, NULL);
        s->count.interrupts++;
    }

    s->window = s->machine->window_is_open(s->vcpu);
}
