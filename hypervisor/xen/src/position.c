/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous positions: between two synchronous exits.
 *
 * A position is found by a breakpoint on its instruction; the hash of the
 * registers tells its passes apart, and the count of instructions does where
 * there is a counter.  With a counter, a timer brings the guest near first: a
 * breakpoint on an instruction of a hot loop would stop too often.
 */
#include <xen/timer.h>
#include <asm/time.h>
#include "private.h"

/* With a counter: distances in instructions. */
#define NEAR 4000ul     /* how far before the position the timer aims */
#define FAR  12000ul    /* closer than this: by the breakpoint alone */
#define PAST 20000ul    /* so far past the position is certainly past it */

/* Debug exceptions for one record: more would starve dom0. */
#define HITS_MAX 200000u

static bool here(struct ttd_session *s)
{
    return s->due.rip == s->rip && s->due.hash == ttd_entered_hash(s) &&
           (!ttd_counting(s) || s->due.instructions == s->instructions);
}

static void arm(struct ttd_session *s, struct cpu_user_regs *regs)
{
    s->armed = true;
    s->machine->set_breakpoint(s->vcpu, regs, s->due.rip);
}

void ttd_disarm(struct ttd_session *s, struct cpu_user_regs *regs)
{
    if ( !s->armed )
        return;
    s->armed = false;
    s->machine->set_breakpoint(s->vcpu, regs, 0);
}

/*
 * Whether the guest is where the due record belongs.  If not, sees to it that
 * the guest exits there, or before.
 */
bool ttd_reached(struct ttd_session *s, struct cpu_user_regs *regs)
{
    if ( s->due.clock != s->clock )
    {
        ttd_diverged(s, TTD_MISMATCH_INPUT);
        return false;
    }
    if ( !(s->due.flags & (TTD_AT_ASYNC | TTD_AT_WINDOW)) )
        return true;
    if ( here(s) )
    {
        s->window = false;
        ttd_disarm(s, regs);
        return true;
    }
    if ( ttd_stepping(s) )      /* the guest stops at every instruction */
        return false;

    if ( s->due.flags & TTD_AT_WINDOW )
    {
        bool early = s->event.window && s->window;

        if ( !early && !s->armed )
        {
            s->machine->open_window(s->vcpu);
            s->window = true;
            return false;
        }
        /* The window came too early: the shadow of an instruction was lost. */
    }
    s->window = false;

    if ( ttd_counting(s) )
    {
        int64_t left = s->due.instructions - s->instructions;

        if ( left < -(int64_t)PAST )
        {
            ttd_diverged(s, TTD_MISMATCH_MISSED);
            return false;
        }
        if ( left > (int64_t)FAR && !s->no_progress )
        {
            ttd_disarm(s, regs);
            s->left = left;
            return false;
        }
    }
    if ( s->hits > HITS_MAX )
    {
        ttd_diverged(s, TTD_MISMATCH_HOT);
        return false;
    }
    arm(s, regs);

    return false;
}

/* Last thing before the entry: a timer interrupt short of the position. */
void ttd_steer(struct ttd_session *s)
{
    s_time_t due;

    if ( !s->left )
        return;
    due = NOW() + ttd_counter_time(s, s->left - max(s->left / 64, NEAR));
    if ( !this_cpu(timer_deadline) || this_cpu(timer_deadline) > due )
        reprogram_timer(due);
}
