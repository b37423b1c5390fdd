/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replaying.
 *
 * Exits whose handlers would only ask for time, events or a rest are not
 * handled.  All others are handled, so that the domain's own state follows;
 * then the log's results replace the handler's.  At each synchronous exit the
 * guest's state is compared with the recording's: this comparison is the
 * replay's check.
 */
#include <asm/hvm/hvm.h>
#include <asm/hvm/support.h>
#include <public/event_channel.h>
#include <public/sched.h>
#include <public/vcpu.h>
#include "private.h"

#define EVENT_VALID (1ul << 31)

static const char *name_of(const struct ttd_record *record)
{
    static const char *const kinds[] = {
        [TTD_KIND_OTHER] = "other", [TTD_KIND_RDTSC] = "rdtsc",
        [TTD_KIND_CPUID] = "cpuid", [TTD_KIND_RDMSR] = "rdmsr",
        [TTD_KIND_WRMSR] = "wrmsr", [TTD_KIND_PORT_READ] = "port_read",
        [TTD_KIND_PORT_WRITE] = "port_write", [TTD_KIND_MEMORY] = "memory",
        [TTD_KIND_HYPERCALL] = "hypercall", [TTD_KIND_HALT] = "halt",
        [TTD_KIND_CONTROL_READ] = "control_read",
        [TTD_KIND_CONTROL_WRITE] = "control_write",
        [TTD_KIND_EXCEPTION] = "exception", [TTD_KIND_SHUTDOWN] = "shutdown",
    };

    return record->kind < ARRAY_SIZE(kinds) && kinds[record->kind]
           ? kinds[record->kind] : "?";
}

static const char *type_of(const struct ttd_record *record)
{
    switch ( record->type )
    {
    case TTD_EXIT:         return "TTD_EXIT";
    case TTD_INTERRUPT:    return "TTD_INTERRUPT";
    case TTD_GUEST_WRITE:  return "TTD_GUEST_WRITE";
    case TTD_SHARED_WRITE: return "TTD_SHARED_WRITE";
    case TTD_FOREIGN_READ: return "TTD_FOREIGN_READ";
    case TTD_END:          return "TTD_END";
    }

    return "TTD_UNKNOWN";
}

/*
 * The first mismatch: the guest stops here.  The console's line has the form of
 * XenTT's old one, so that tools which read that read this.
 */
void ttd_diverged(struct ttd_session *s, enum ttd_mismatch why)
{
    const struct cpu_user_regs *regs = guest_cpu_user_regs();
    const struct ttd_record *due = &s->due;
    struct ttd_divergence payload = {};
    struct ttd_registers now;
    struct ttd_record record;

    ttd_trace_close(s, TTD_WINDOW_ENDED);
    if ( !s->have_due )
        memset(&s->due, 0, sizeof(s->due));

    ttd_read_registers(&now, regs);
    payload.clock = due->clock;
    payload.rip = due->rip;
    payload.instructions = due->instructions;
    payload.info = due->info;
    payload.hash = due->hash;
    payload.code = due->code;
    payload.type = due->type;
    payload.flags = due->flags;
    payload.kind = due->kind;
    payload.present = TTD_RFLAGS + 1;
    memcpy(payload.registers, now.word, sizeof(payload.registers));

    s->rip = now.word[TTD_RIP];
    s->hash = ttd_hash(&now, s->event.asynchronous ? NULL : &s->event);
    s->hash_is_due = false;
    ttd_console_put(s, true);
    ttd_new_record(s, &record, TTD_DIVERGED);
    record.kind = s->event.kind;
    record.code = s->event.code;
    record.info = s->event.info;
    record.mask = why;
    record.length = sizeof(payload);
    ttd_put(s, &record, &payload);

    printk(XENLOG_ERR
           "TT_LOG:(cpu(%u): ttd_replay) Error:Replay missed event:%s(%u),info:%s(%u):now (brctr:%lu, ip:%#lx), event (brctr:%lu, ip:%#lx), domain %d, reason %u, exit %#x, hash %08x, expected exit %#x, hash %08x\n",
           smp_processor_id(), type_of(due), due->type, name_of(due), due->kind,
           s->clock, regs->rip, due->clock, due->rip, s->domain_id, why,
           record.code, record.hash, due->code, due->hash);

    s->state = TTD_STATE_DIVERGED;
    ttd_disarm(s, NULL);
    vcpu_pause_nosync(s->vcpu);
    ttd_notify(s);
}

/* Whether an exit's handler has no effect that the replay needs. */
static bool needs_no_handler(const struct ttd_session *s,
                             const struct cpu_user_regs *regs)
{
    uint64_t first = ttd_first_argument(s, regs);

    switch ( s->event.kind )
    {
    case TTD_KIND_RDTSC:
    case TTD_KIND_HALT:
        return true;

    case TTD_KIND_HYPERCALL:
        switch ( s->event.info )
        {
        case __HYPERVISOR_event_channel_op:
        case __HYPERVISOR_set_timer_op:
            return true;

        case __HYPERVISOR_sched_op:
            return first != SCHEDOP_shutdown;

        case __HYPERVISOR_vcpu_op:
            return first != VCPUOP_register_vcpu_info;
        }
        break;
    }

    return false;
}

/* A synchronous exit.  True: its handler must not run. */
bool ttd_replay_exit(struct ttd_session *s, const struct cpu_user_regs *regs)
{
    const struct ttd_record *due = &s->due;

    s->skipped = false;
    s->open = true;
    if ( s->again )             /* the rest of a preempted hypercall */
    {
        s->before = s->first;
        return false;
    }

    if ( !s->have_due || due->type != TTD_EXIT || due->clock != s->clock ||
         due->kind != s->event.kind || due->rip != s->before.word[TTD_RIP] ||
         (due->kind == TTD_KIND_OTHER && due->code != s->event.code) ||
         due->hash != ttd_hash(&s->before, &s->event) ||
         (ttd_counting(s) && due->instructions != s->instructions) )
    {
        s->open = false;
        ttd_diverged(s, due->type == TTD_EXIT ? TTD_MISMATCH_EXIT
                                              : TTD_MISMATCH_MISSED);
        return true;
    }

    s->skipped = needs_no_handler(s, regs);
    if ( s->skipped && is_pv_vcpu(s->vcpu) )
        ttd_pv_skip(s, regs);

    return s->skipped;
}

/* The registers after the exit, as the log has them. */
static void logged_result(const struct ttd_session *s,
                          struct ttd_registers *after)
{
    const uint64_t *word = (const void *)s->due.payload;
    unsigned int i, left = s->due.length / sizeof(*word);

    *after = s->before;
    for ( i = 0; i < TTD_WORDS && left; i++ )
    {
        if ( !(s->due.mask & (1u << i)) )
            continue;
        after->word[i] = i == TTD_RIP ? s->due.rip + *word : *word;
        word++;
        left--;
    }
}

/*
 * What a PV guest's iret loads comes from its own stack, where its registers
 * are during an upcall: there a difference would be lost if the log's were put
 * in their place.
 */
static bool loads_other_registers(const struct ttd_session *s,
                                  const struct cpu_user_regs *regs,
                                  const struct ttd_registers *after)
{
    struct ttd_registers now;

    if ( !is_pv_vcpu(s->vcpu) || s->event.kind != TTD_KIND_HYPERCALL ||
         s->event.info != __HYPERVISOR_iret )
        return false;
    ttd_read_registers(&now, regs);

    return memcmp(now.word, after->word,
                  (TTD_RFLAGS + 1) * sizeof(now.word[0]));
}

/* Puts the log's results in place of the handler's, unless they must be equal. */
static void force_result(struct ttd_session *s, struct cpu_user_regs *regs)
{
    struct ttd_registers after;

    logged_result(s, &after);
    if ( loads_other_registers(s, regs, &after) )
    {
        s->open = false;
        ttd_diverged(s, TTD_MISMATCH_EXIT);
        return;
    }
    ttd_fault_exit(s, &after);

    ttd_write_registers(&after, regs);
    s->machine->set_injection(s->vcpu, after.word[TTD_INJECTED]);
    if ( s->skipped )
        s->machine->end_shadow(s->vcpu);

    ttd_close_exit(s, regs, after.word[TTD_INJECTED]);
    s->have_due = false;
}

/* A hypercall that was preempted here and not in the recording. */
static bool comes_again(const struct ttd_session *s,
                        const struct cpu_user_regs *regs)
{
    return !s->skipped && s->event.kind == TTD_KIND_HYPERCALL &&
           regs->rip == s->due.rip && (s->due.mask & (1u << TTD_RIP));
}

static bool write_guest(struct ttd_session *s)
{
    paddr_t gpa = s->due.info;
    unsigned int size = s->due.length;

    if ( is_pv_vcpu(s->vcpu) )
        return ttd_pv_write(gpa, s->due.payload, size);

    return hvm_copy_to_guest_phys(gpa, s->due.payload, size, s->vcpu) ==
           HVMTRANS_okay;
}

static bool write_area(struct ttd_session *s)
{
    struct ttd_tracked *area;
    uint64_t offset = s->due.info;

    s->count.shared_writes++;
    switch ( s->due.code )
    {
    case TTD_AREA_PAGES:
        return write_guest(s);

    case TTD_AREA_GRANTS:
    case TTD_AREA_GRANT_STATUS:
        return ttd_write_frame(s);
    }
    if ( s->due.code >= TTD_PAGE_AREAS )
        return false;
    area = &s->area[s->due.code];
    if ( !area->mapping || offset > area->size ||
         s->due.length > area->size - offset )
        return false;
    memcpy(area->mapping + offset, s->due.payload, s->due.length);
    memcpy(area->copy + offset, s->due.payload, s->due.length);
    if ( s->due.code == TTD_AREA_CONSOLE )
        ttd_console_put(s, false);

    return true;
}

/* Does what the due record says, which belongs to this entry. */
static bool apply(struct ttd_session *s)
{
    if ( s->due.flags & TTD_AT_ASYNC )
        s->count.asynchronous++;

    switch ( s->due.type )
    {
    case TTD_GUEST_WRITE:
        s->count.guest_writes++;
        return write_guest(s);

    case TTD_SHARED_WRITE:
        return write_area(s);

    case TTD_INTERRUPT:
        s->machine->set_injection(s->vcpu,
                                  (s->due.info & 0xff) | EVENT_VALID);
        s->count.interrupts++;
        return true;
    }

    return false;
}

/* The due record was used: the replay's own log has one like it. */
static void done(struct ttd_session *s)
{
    struct ttd_record record;

    ttd_new_record(s, &record, s->due.type);
    record.flags = s->due.flags;
    record.info = s->due.info;
    record.code = s->due.code;
    record.length = s->due.length;
    ttd_fault_hide(s);
    ttd_put(s, &record, s->due.payload);
    s->have_due = false;
}

/* Makes the next record due.  False: there is none, now or at all. */
static bool next(struct ttd_session *s)
{
    int rc;

    if ( s->have_due )
        return true;

    rc = ttd_get(s);
    if ( rc == 1 )
    {
        s->have_due = true;
        s->hits = 0;
        return true;
    }
    if ( rc == 0 )
        ttd_hold(s);
    else
        ttd_diverged(s, rc == -ENODATA ? TTD_MISMATCH_ENDED
                                       : TTD_MISMATCH_INPUT);

    return false;
}

/*
 * Takes all records that belong to this entry.  May run several times for one
 * entry, since other vCPUs may run in between.
 */
void ttd_replay_before_entry(struct ttd_session *s, struct cpu_user_regs *regs)
{
    ttd_follow_vcpu_info(s);
    ttd_undo_writes(s);

    if ( s->open )
    {
        s->again = comes_again(s, regs);
        if ( s->again )
        {
            s->first = s->before;
            s->open = false;
            return;
        }
        force_result(s, regs);
    }
    else if ( s->again )
        return;
    else
        ttd_take_position(s);
    s->left = 0;

    while ( s->state == TTD_STATE_RUNNING && next(s) )
    {
        /* Where the recording has it: before other writers had their turn. */
        if ( s->due.type != TTD_GUEST_WRITE && ttd_breaks_at(s, s->clock) )
        {
            ttd_take_break(s);
            return;
        }
        if ( s->due.type == TTD_EXIT )
        {
            ttd_disarm(s, regs);
            return;
        }
        if ( s->due.type == TTD_END )
        {
            ttd_disarm(s, regs);
            ttd_end(s, TTD_END_COMPLETE);
            return;
        }
        if ( !ttd_reached(s, regs) )
            return;
        if ( ttd_pipe_low(&s->out) )    /* a read brings many pages */
        {
            ttd_hold(s);
            return;
        }
        if ( s->due.type == TTD_FOREIGN_READ )
        {
            if ( s->due.flags & TTD_AT_ASYNC )
                s->count.asynchronous++;
            ttd_fault_sent(s);
            if ( ttd_compare_sent(s) )
                s->have_due = false;
            else
                ttd_diverged(s, TTD_MISMATCH_SENT);
        }
        else if ( ttd_fault_record(s) )
            s->have_due = false;
        else if ( apply(s) )
            done(s);
        else
            ttd_diverged(s, TTD_MISMATCH_INPUT);
    }
}

void ttd_replay_entry(struct ttd_session *s)
{
    ttd_undo_writes(s);
    ttd_steer(s);
}
