/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: one a recorded or replayed domain.  A session outlives its domain
 * until the daemon releases it.  All operations run under the sysctl lock.
 */
#include <xen/domain.h>
#include <xen/err.h>
#include <xen/event.h>
#include <asm/hvm/hvm.h>
#include <asm/paging.h>
#include "private.h"

#define DEFER_DEFAULT   MILLISECS(3000)
#define OVERHEAD        150u    /* instructions of an empty round trip */

static LIST_HEAD(sessions);

static struct ttd_session *find(domid_t domain_id)
{
    struct ttd_session *s;

    list_for_each_entry ( s, &sessions, list )
        if ( s->domain_id == domain_id )
            return s;

    return NULL;
}

/* The last record of the out ring. */
void ttd_end(struct ttd_session *s, enum ttd_end why)
{
    struct ttd_record record;

    if ( s->state == TTD_STATE_ENDED )
        return;

    ttd_trace_close(s, TTD_WINDOW_ENDED);
    ttd_console_put(s, true);
    ttd_new_record(s, &record, TTD_END);
    record.info = why;
    ttd_put(s, &record, NULL);
    s->out.ring->closed = 1;
    s->end = why;
    s->state = TTD_STATE_ENDED;
    if ( s->replaying && why == TTD_END_COMPLETE )
        vcpu_pause_nosync(s->vcpu);
    ttd_notify(s);

    printk(XENLOG_INFO
           "ttd: d%d: %s ended (%u): clock %lu, exits %lu, interrupts %lu, asynchronous %lu, guest writes %lu, shared writes %lu, copies %lu, deferred %lu, expired %lu, #DB %lu, records %lu, bytes %lu, held %lu+%lu, lost %lu\n",
           s->domain_id, s->replaying ? "replay" : "recording", why, s->clock,
           s->count.exits, s->count.interrupts, s->count.asynchronous,
           s->count.guest_writes, s->count.shared_writes, s->count.copies,
           s->count.deferrals, s->count.expired, s->count.debug_exceptions,
           s->count.records, s->count.bytes, s->out.ring->held,
           s->in.ring ? s->in.ring->held : 0, s->out.ring->lost);
}

/* Whether the guest can go on with the rings as they are. */
static bool can_go_on(struct ttd_session *s)
{
    return !ttd_pipe_low(&s->out) &&
           (!s->in.ring || s->have_due || s->in.ring->closed ||
            s->in.ring->produced != s->in.at);
}

/* The guest waits for TTD_OP_WAKE. */
void ttd_hold(struct ttd_session *s)
{
    struct ttd_ring *out = s->out.ring, *in = s->in.ring;

    if ( s->held )
        return;

    if ( ttd_pipe_low(&s->out) )
    {
        out->held++;
        out->waiting = 1;
    }
    else
    {
        in->held++;
        in->waiting = 1;
    }
    s->held = true;
    vcpu_pause_nosync(s->vcpu);
    ttd_notify(s);
}

static int wake(struct ttd_session *s)
{
    if ( !s->held || !s->vcpu )
        return 0;

    /* The daemon calls again when it has changed the rings again. */
    s->out.ring->waiting = 0;
    if ( s->in.ring )
        s->in.ring->waiting = 0;
    smp_mb();
    if ( !can_go_on(s) )
    {
        if ( ttd_pipe_low(&s->out) )
            s->out.ring->waiting = 1;
        else
            s->in.ring->waiting = 1;
        return 0;
    }
    s->held = false;
    vcpu_unpause(s->vcpu);

    return 0;
}

/* Why a domain cannot be recorded or replayed; NULL if it can. */
static const char *obstacle(const struct domain *d, bool replay,
                            uint32_t options)
{
    const struct vcpu *v = d->vcpu ? d->vcpu[0] : NULL;

    if ( !is_hvm_domain(d) && !is_pv_64bit_domain(d) )
        return "is no guest of 64 bits";
    if ( d->max_vcpus != 1 || !v )
        return "has more than one vCPU";
    if ( num_online_cpus() != 1 )
        return "may run beside a domain that writes its memory: Xen needs maxcpus=1";
    if ( is_hvm_domain(d) && !hap_enabled(d) )
        return "has no nested paging";
    if ( is_pv_domain(d) && paging_mode_enabled(d) )
        return "has shadow page tables";
    if ( is_pv_domain(d) && (options & TTD_COUNTS) )
        return "is a PV guest, whose progress nothing counts";
    if ( is_pv_domain(d) && (options & TTD_OPTION_SWITCHES) )
        return "is a PV guest, which changes cr3 by hypercalls";
    if ( !cpu_has_sse4_2 )
        return "runs on a processor without SSE4.2, which the hash of registers needs";
    if ( !d->arch.vtsc )
        return "reads the TSC itself: it needs tsc_mode=\"always_emulate\"";
    if ( !v->arch.fully_eager_fpu )
        return "may leak FPU state: Xen needs spec-ctrl=eager-fpu";
    if ( is_iommu_enabled(d) )
        return "has a device passed through";
    if ( replay && !d->controller_pause_count )
        return "is not paused";

    return NULL;
}

static void set_options(struct ttd_session *s, const struct ttd_op *op)
{
    s->options = op->start.options;
    s->defer_max = op->start.defer_ms ? MILLISECS(op->start.defer_ms)
                                      : DEFER_DEFAULT;
    s->break_at = op->start.break_at;
    s->break_every = op->start.break_every;
    s->broke_at = ~0ul;
    s->fault.kind = op->start.fault;
    s->fault.detail = op->start.fault_detail;
    s->fault.at = op->start.fault_at;
    s->fault.bit = op->start.fault_bit;
    s->tsc_shift = op->start.tsc_shift & 31;
    s->tsc_overhead = op->start.tsc_overhead ?: OVERHEAD << s->tsc_shift;
}

static void give_rings(const struct ttd_session *s, struct ttd_op *op)
{
    op->start.out_pages = 1u << s->out.order;
    op->start.out_mfn = virt_to_mfn(s->out.ring);
    op->start.in_pages = s->in.ring ? 1u << s->in.order : 0;
    op->start.in_mfn = s->in.ring ? virt_to_mfn(s->in.ring) : 0;
    op->start.is_pv = is_pv_domain(s->domain);
}

static void forget(struct ttd_session *s)
{
    ttd_pipe_close(&s->out);
    ttd_pipe_close(&s->in);
    xfree(s);
}

static void attach(struct vcpu *v, struct ttd_session *s)
{
    if ( is_pv_vcpu(v) )
        v->arch.pv.ttd = s;
    else
        v->arch.hvm.ttd = s;
}

static int begin(struct domain *d, struct ttd_op *op)
{
    bool replay = op->operation == TTD_OP_REPLAY;
    const char *reason = obstacle(d, replay, op->start.options);
    struct ttd_session *s;
    int rc;

    if ( reason )
    {
        printk(XENLOG_WARNING "ttd: d%d %s\n", d->domain_id, reason);
        return -EOPNOTSUPP;
    }

    s = xzalloc(struct ttd_session);
    if ( !s )
        return -ENOMEM;
    s->domain_id = d->domain_id;
    s->domain = d;
    s->vcpu = d->vcpu[0];
    s->machine = is_pv_domain(d) ? &ttd_pv : cpu_has_svm ? &ttd_svm : &ttd_vmx;
    s->replaying = replay;
    s->state = TTD_STATE_RUNNING;
    set_options(s, op);

    rc = ttd_pipe_open(&s->out, op->start.out_pages);
    if ( !rc && replay )
        rc = ttd_pipe_open(&s->in, op->start.in_pages);
    if ( rc )
    {
        forget(s);
        return rc;
    }

    domain_pause(d);
    rc = ttd_track(s);
    if ( !rc )
        rc = ttd_counter_begin(s);
    if ( rc )
    {
        ttd_untrack(s);
        forget(s);
    }
    else
    {
        list_add_tail(&s->list, &sessions);
        attach(s->vcpu, s);
        give_rings(s, op);
    }
    domain_unpause(d);

    return rc;
}

/* Takes a session off its domain, which is paused or dying. */
static void detach(struct ttd_session *s)
{
    struct vcpu *v = s->vcpu;

    if ( !v )
        return;
    ttd_trace_close(s, TTD_WINDOW_ENDED);
    ttd_counter_end(s);
    if ( s->options & TTD_OPTION_SWITCHES )
        s->machine->switches(v, false);
    ttd_disarm(s, NULL);
    ttd_untrack(s);
    attach(v, NULL);
    s->vcpu = NULL;
    s->domain = NULL;
    if ( s->held )
        vcpu_unpause(v);
    if ( s->in_break )
        vcpu_unpause(v);
    s->held = s->in_break = false;
}

static int stop(struct ttd_session *s)
{
    struct domain *d = s->domain;

    if ( !d )
        return 0;
    domain_pause(d);
    /* The guest waits in an exit that is not over, or between two entries. */
    if ( s->state != TTD_STATE_ENDED && !s->replaying && s->open )
        ttd_record_result(s, &s->vcpu->arch.user_regs);
    ttd_end(s, TTD_END_STOPPED);
    detach(s);
    domain_unpause(d);

    return 0;
}

void ttd_domain_gone(struct domain *d)
{
    struct vcpu *v = d->vcpu ? d->vcpu[0] : NULL;
    struct ttd_session *s = v ? ttd_of(v) : NULL;

    if ( !s )
        return;
    ttd_end(s, TTD_END_DESTROYED);
    detach(s);
}

static int release(struct ttd_session *s)
{
    if ( s->vcpu )
        return -EBUSY;
    list_del(&s->list);
    forget(s);

    return 0;
}

static int resume(struct ttd_session *s)
{
    if ( !s->in_break )
        return -EINVAL;
    s->in_break = false;
    s->state = TTD_STATE_RUNNING;
    vcpu_unpause(s->vcpu);

    return 0;
}

static int status(const struct ttd_session *s, struct ttd_op *op)
{
    memset(&op->status, 0, sizeof(op->status));
    op->status.state = s->state;
    op->status.mode = s->replaying ? TTD_OP_REPLAY : TTD_OP_RECORD;
    op->status.end = s->end;
    if ( s->domain && s->domain->is_shut_down )
        op->status.shutdown = 1 | (s->domain->shutdown_code << 8);
    op->status.clock = s->clock;
    op->status.exits = s->count.exits;
    op->status.interrupts = s->count.interrupts;
    op->status.asynchronous = s->count.asynchronous;
    op->status.guest_writes = s->count.guest_writes;
    op->status.shared_writes = s->count.shared_writes;
    op->status.deferrals = s->count.deferrals;
    op->status.expired = s->count.expired;
    op->status.debug_exceptions = s->count.debug_exceptions;
    op->status.copies = s->count.copies;
    op->status.out_bytes = s->count.bytes;
    op->status.records = s->count.records;

    return 0;
}

static int digest(struct ttd_session *s, struct ttd_op *op)
{
    int rc;

    if ( !s->domain )
        return -ESRCH;
    domain_pause(s->domain);
    rc = is_pv_domain(s->domain) ? ttd_pv_digest(s, op) : ttd_digest(s, op);
    domain_unpause(s->domain);

    return rc;
}

static int of_session(struct ttd_session *s, struct ttd_op *op)
{
    switch ( op->operation )
    {
    case TTD_OP_STATUS:
        return status(s, op);

    case TTD_OP_WAKE:
        return wake(s);

    case TTD_OP_BREAK:
        s->break_at = op->brk.at;
        s->break_every = op->brk.every;
        return 0;

    case TTD_OP_CONTINUE:
        return resume(s);

    case TTD_OP_DIGEST:
        return digest(s, op);

    case TTD_OP_STOP:
        return stop(s);

    case TTD_OP_RELEASE:
        return release(s);

    case TTD_OP_ATTACH:
        give_rings(s, op);
        return 0;

    case TTD_OP_BRANCHES:
        return s->machine->trace ? ttd_trace_want(s, op) : -EOPNOTSUPP;
    }

    return -EINVAL;
}

int ttd_sysctl(struct ttd_op *op)
{
    struct ttd_session *s = find(op->domain);
    struct domain *d;
    int rc;

    if ( op->version != TTD_VERSION )
        return -EINVAL;
    if ( op->operation != TTD_OP_RECORD && op->operation != TTD_OP_REPLAY )
    {
        if ( s )
            return of_session(s, op);
        return op->operation == TTD_OP_STATUS &&
               memset(&op->status, 0, sizeof(op->status)) ? 0 : -ESRCH;
    }
    if ( s )
        return -EBUSY;

    d = rcu_lock_domain_by_id(op->domain);
    if ( !d )
        return -ESRCH;
    rc = d == current->domain || d->is_dying ? -EINVAL : begin(d, op);
    rcu_unlock_domain(d);

    return rc;
}
