/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of the guest's progress between two exits.
 *
 * A counter of the processor counts in guest mode only, so it may be read
 * anywhere between an exit and the next entry.  Other guests of the same
 * physical CPU count too: it is read just before each entry and after its exit.
 *
 * Without a counter of the processor there is the TSC under QEMU's -icount,
 * which svm/entry.S reads next to VMRUN: what an empty round trip costs is
 * constant.
 *
 * The counters of processors compile and have never run.  What is not known of
 * them: whether an exit in the middle of an instruction, an injection or a
 * debug exception counts.  A replay has other ones of these than its recording.
 */
#include <asm/msr.h>
#include "private.h"

/*
 * AMD: event 0xc0 retired instructions, 0xc2 retired branches, in PERF_CTL3 of
 * those that every processor with SVM has.  Bit 40: in guest mode only.  AMD's
 * manual volume 2, 13.2.1.
 */
#define AMD_INSTRUCTIONS 0xc0
#define AMD_BRANCHES     0xc2
#define AMD_GUEST_ONLY   (1ul << 40)

/* INST_RETIRED.ANY_P, BR_INST_RETIRED.ALL_BRANCHES: Intel's manual 3B, 19.1. */
#define INTEL_INSTRUCTIONS 0xc0
#define INTEL_BRANCHES     0xc4

/* The same bits in both event selects. */
#define SELECT_USER     (1ul << 16)
#define SELECT_KERNEL   (1ul << 17)
#define SELECT_ENABLE   (1ul << 22)

#define WIDTH_MASK      ((1ul << 48) - 1)

/* The selection that this CPU's counter has; 0: none of ours. */
static DEFINE_PER_CPU(uint64_t, selection);

static uint64_t select_for(const struct ttd_session *s)
{
    bool branches = s->options & TTD_OPTION_COUNT_BRANCHES;

    return SELECT_USER | SELECT_KERNEL | SELECT_ENABLE |
           (cpu_has_svm ? AMD_GUEST_ONLY |
                          (branches ? AMD_BRANCHES : AMD_INSTRUCTIONS)
                        : branches ? INTEL_BRANCHES : INTEL_INSTRUCTIONS);
}

static unsigned int select_register(void)
{
    return cpu_has_svm ? MSR_K7_EVNTSEL3 : MSR_P6_EVNTSEL(0);
}

static unsigned int counter_register(void)
{
    return cpu_has_svm ? MSR_K7_PERFCTR3 : MSR_P6_PERFCTR(0);
}

static uint64_t read(void)
{
    uint64_t value;

    rdmsrl(counter_register(), value);

    return value & WIDTH_MASK;
}

/* Whether this processor has a counter: it keeps what is written to it. */
static bool is_there(uint64_t select)
{
    uint64_t was, now;

    if ( rdmsr_safe(select_register(), was) ||
         wrmsr_safe(select_register(), select & ~SELECT_ENABLE) ||
         rdmsr_safe(select_register(), now) )
        return false;
    wrmsrl(select_register(), was);

    return now == (select & ~SELECT_ENABLE) && !(was & SELECT_ENABLE);
}

bool ttd_counting(const struct ttd_session *s)
{
    return s->options & TTD_COUNTS;
}

/* Takes the counter that the session's options want.  The domain is paused. */
int ttd_counter_begin(struct ttd_session *s)
{
    uint32_t wanted = s->options & (TTD_OPTION_COUNT_BRANCHES |
                                    TTD_OPTION_COUNT_INSTRUCTIONS);

    if ( !wanted )
        return 0;
    if ( (s->options & TTD_OPTION_COUNT) || (wanted & (wanted - 1)) )
        return -EINVAL;
    s->counter.select = select_for(s);
    if ( !is_there(s->counter.select) )
    {
        printk(XENLOG_WARNING "ttd: d%d: this processor has no such counter\n",
               s->domain_id);
        return -ENODEV;
    }

    return s->machine->count ? s->machine->count(s->vcpu, true) : 0;
}

void ttd_counter_end(struct ttd_session *s)
{
    if ( s->counter.select && s->machine->count )
        s->machine->count(s->vcpu, false);
    s->counter.select = 0;
}

/* Last before an entry. */
void ttd_counter_entry(struct ttd_session *s)
{
    if ( !s->counter.select )
        return;
    if ( this_cpu(selection) != s->counter.select )
    {
        wrmsrl(select_register(), s->counter.select);
        this_cpu(selection) = s->counter.select;
    }
    s->counter.at = read();
}

static uint64_t units_of_tsc(const struct ttd_session *s)
{
    const struct hvm_vcpu *hvm = &s->vcpu->arch.hvm;
    uint64_t tsc = hvm->ttd_tsc_out - hvm->ttd_tsc_in;

    tsc = tsc > s->tsc_overhead ? tsc - s->tsc_overhead : 0;

    return tsc >> s->tsc_shift;
}

/* First at an exit: adds what the guest did since the entry. */
void ttd_count(struct ttd_session *s)
{
    uint64_t units;

    if ( !ttd_counting(s) )
        return;
    units = s->counter.select ? (read() - s->counter.at) & WIDTH_MASK
                              : units_of_tsc(s);
    s->no_progress = !units;
    s->instructions += units;
}

/*
 * The least time in which a guest gets on by so many units.  No processor does
 * more than 4 in a nanosecond: a timer that is set so comes too early, again
 * and again, and never too late.
 */
s_time_t ttd_counter_time(const struct ttd_session *s, uint64_t units)
{
    return s->counter.select ? units / 4 : units << s->tsc_shift;
}
