/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rest of Xen calls; see asm/hvm/ttd.h. */
#include <xen/softirq.h>
#include <xen/timer.h>
#include <asm/hvm/hvm.h>
#include <asm/smp.h>
#include <irq_vectors.h>
#include "private.h"

bool ttd_running(const struct ttd_session *s)
{
    return s->state == TTD_STATE_RUNNING || s->state == TTD_STATE_BREAK;
}

/*
 * The processor's timer was put off for the deferral.  The softirq sets it for
 * the earliest of Xen's timers, whichever softirqs had to wait.
 */
static void end_deferral(struct ttd_session *s)
{
    if ( !s->deferred_since )
        return;
    s->deferred_since = 0;
    raise_softirq(TIMER_SOFTIRQ);
}

bool ttd_exit(struct cpu_user_regs *regs)
{
    struct vcpu *v = current;
    struct ttd_session *s = ttd_of(v);
    bool stepped;

    if ( !ttd_running(s) )
        return s->replaying;

    ttd_count(s);
    s->count.exits++;
    s->machine->describe(v, regs, &s->event);
    stepped = (s->trace.stepping || s->trace.recording) &&
              ttd_trace_exit(s, regs);
    if ( s->event.asynchronous || s->trace.wanted )
        ttd_entered_hash(s);    /* of `before`: the last moment for it */
    ttd_read_registers(&s->before, regs);
    s->before.word[TTD_RIP] -= s->event.past;

    s->copied = s->granted.copied = s->acted = false;
    if ( s->verify )
        ttd_verify_begin(s);
    if ( s->event.may_write )
        ttd_copy_areas(s);

    /* QEMU's VMRUN does not load the interrupt shadow that was saved here. */
    if ( s->event.asynchronous && s->event.shadow )
        s->shadow_rip = regs->rip;
    else if ( s->shadow_rip != regs->rip )
        s->shadow_rip = 0;

    if ( stepped )
        return true;
    if ( s->event.breakpoint && s->armed )
    {
        s->hits++;
        s->count.debug_exceptions++;
        s->machine->skip(v);
        return true;
    }
    if ( s->event.asynchronous )
        return false;

    end_deferral(s);
    if ( !s->replaying )
    {
        ttd_record_exit(s);
        if ( ttd_uses_foreign_pages(s, regs) )
            s->granted.failed = "it uses pages of other domains";
        return false;
    }
    if ( !ttd_replay_exit(s, regs) )
        return false;
    s->machine->skip(v);

    return true;
}

/* Whether a break is due at a clock. */
bool ttd_breaks_at(const struct ttd_session *s, uint64_t clock)
{
    return clock && clock != s->broke_at &&
           (clock == s->break_at ||
            (s->break_every && !(clock % s->break_every)));
}

void ttd_take_break(struct ttd_session *s)
{
    struct ttd_record record;

    s->broke_at = s->clock;
    ttd_console_put(s, true);
    ttd_new_record(s, &record, TTD_BREAK);
    if ( !ttd_put(s, &record, NULL) )
        return;
    s->state = TTD_STATE_BREAK;
    s->in_break = true;
    vcpu_pause_nosync(s->vcpu);
    ttd_notify(s);
}

/* Holds the guest if the out ring is nearly full; rings the daemon's bell. */
void ttd_control_flow(struct ttd_session *s)
{
    if ( s->state == TTD_STATE_RUNNING &&
         s->out.at > s->out.roomy && (!s->event.asynchronous || s->trace.open) &&
         ttd_pipe_low(&s->out) )
        ttd_hold(s);
    else if ( s->out.at - s->out.notified >= s->out.size / 4 ||
              s->in.at - s->in.notified > s->in.size / 4 )
        ttd_notify(s);
}

bool ttd_before_entry(void)
{
    struct ttd_session *s = current->arch.hvm.ttd;
    struct cpu_user_regs *regs = guest_cpu_user_regs();

    if ( s->state != TTD_STATE_RUNNING )
        return s->replaying;

    if ( s->options & TTD_OPTION_SWITCHES )     /* Intel: a write of CR0 ends it */
        s->machine->switches(s->vcpu, true);
    /* A hypercall of the guest or somebody else may have given it frames. */
    if ( s->event.may_write || s->acted || !s->count.exits )
        ttd_follow_frames(s);
    if ( s->replaying )
        ttd_replay_before_entry(s, regs);
    else
        ttd_record_before_entry(s, regs);

    ttd_control_flow(s);

    if ( s->trace.wanted )
        ttd_trace_prepare(s, regs);

    return s->replaying;
}

void ttd_entry(struct cpu_user_regs *regs)
{
    struct ttd_session *s = current->arch.hvm.ttd;
    uint64_t injected;

    if ( s->state != TTD_STATE_RUNNING )
        return;

    /* The guest moves it by a hypercall. */
    if ( s->event.may_write || s->acted || s->count.exits < 2 )
        ttd_follow_vcpu_info(s);
    if ( s->replaying )
        ttd_replay_entry(s);
    injected = s->machine->get_injection(s->vcpu);
    if ( !s->replaying )
        ttd_record_entry(s, regs, injected);

    /*
     * QEMU's VMRUN leaves the interrupt that it delivers in
     * cs->exception_index.  If its main loop runs before the next exit, the
     * interrupt is delivered again.  A physical interrupt that is pending at
     * the entry makes the guest exit before the handler's first instruction.
     */
    if ( (injected & (1ul << 31)) && !((injected >> 8) & 7) &&
         !(s->options & TTD_OPTION_NO_SELF_IPI) )
        send_IPI_self(EVENT_CHECK_VECTOR);

    if ( s->trace.open )
        ttd_trace_entry(s, regs);
    ttd_counter_entry(s);
}

/*
 * A recording lets everybody else act at synchronous exits, whose positions
 * cost nothing.  A guest that makes none for long gets asynchronous ones.
 */
bool ttd_may_wait(struct ttd_session *s)
{
    s_time_t now;

    if ( s->replaying || !s->event.asynchronous || s->in_break || s->held )
    {
        end_deferral(s);
        return false;
    }

    now = NOW();
    if ( !s->deferred_since )
    {
        s->deferred_since = now;
        reprogram_timer(now + s->defer_max);
    }
    else if ( now - s->deferred_since >= s->defer_max )
    {
        end_deferral(s);
        s->count.expired++;
        return false;
    }
    s->count.deferrals++;

    return true;
}

bool ttd_defer_softirqs(void)
{
    struct ttd_session *s = ttd_of(current);

    if ( likely(!s) || !ttd_running(s) )
        return false;
    if ( ttd_may_wait(s) )
        return true;
    s->acted = true;
    ttd_copy_areas(s);
    if ( is_pv_vcpu(s->vcpu) )  /* others have ttd_switched() */
        ttd_copy_granted(s);

    return false;
}

void ttd_switched(struct vcpu *v)
{
    struct ttd_session *s = v->arch.hvm.ttd;

    if ( ttd_running(s) )
        ttd_copy_granted(s);
}
