/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Branch windows from the records that a processor keeps of its last branches,
 * in place of single steps.
 *
 * Unproven: this compiles and has never run; only the decoding (stack.h) has
 * tests.  QEMU has none of it.
 *
 * The records are cleared last before an entry, and read first at the exit.  A
 * guest that makes more branches between the two than there are records leaves
 * a gap, and the window says where.  Nothing makes it exit earlier.
 *
 * Intel: DEBUGCTL is loaded at the entry and cleared at the exit, so the records
 * hold the guest's branches only.  Architectural LBRs have a control register
 * of their own, which the lists of MSRs switch.  AMD's are on while Xen enters
 * and leaves the guest: Xen's own branches take places too, and are left out by
 * their addresses (where Linux has none).
 *
 * Not known: whether the delivery of an event by an entry is recorded, and
 * whether BRS has the branch that begins a sample.
 *
 * Intel's branch trace store cannot do it: the processor writes to its buffer
 * through the page tables of the guest, and Xen has no page there that a PVH
 * guest would not see.
 */
#include <asm/msr.h>
#include "private.h"

#define LEGACY_FROM          0x680
#define LEGACY_TO            0x6c0

#define MSR_ARCH_LBR_DEPTH   0x14cf     /* a write clears all records */
#define MSR_ARCH_LBR_FROM    0x1500
#define MSR_ARCH_LBR_TO      0x1600

/* AMD's manual volume 2, 13.1.1: LBR_SELECT, DBG_EXTN_CFG, pairs of records. */
#define MSR_AMD_SELECT       0xc000010e
#define MSR_AMD_CONFIG       0xc000010f
#define MSR_AMD_RECORD       0xc0010300
#define AMD_LBR_ENABLE       (1ul << 6)

/*
 * BRS: the records begin when this counter overflows.  It counts taken branches
 * of kernel and user mode (event 0xc4) in guest mode only (bit 40).
 */
#define MSR_AMD_SELECT0      0xc0010200
#define MSR_AMD_COUNTER0     0xc0010201
#define SELECT_ENABLED       (1ul << 22)
#define AMD_TAKEN_BRANCHES   (0xc4 | (3ul << 16) | SELECT_ENABLED | \
                              (1ul << 40))

static bool find_intel(struct ttd_stack *stack)
{
    uint64_t value;

    if ( cpuid_edx(7) & (1u << 19) )    /* architectural */
    {
        /* Bit n of leaf 0x1c: a depth of 8 * (n + 1). */
        stack->kind = TTD_STACK_INTEL_ARCHITECTURAL;
        stack->depth = 8 * fls(cpuid_eax(0x1c) & 0xf);
        return stack->depth;
    }

    if ( !cpu_has_pdcm || rdmsr_safe(MSR_IA32_PERF_CAPABILITIES, value) ||
         !ttd_stack_knows(value & MSR_IA32_PERF_CAP_LBR_FORMAT) )
        return false;
    stack->kind = TTD_STACK_INTEL;
    stack->format = value & MSR_IA32_PERF_CAP_LBR_FORMAT;
    stack->depth = rdmsr_safe(LEGACY_FROM + 16, value) ? 16 : 32;

    return true;
}

static bool find_amd(struct ttd_stack *stack)
{
    if ( boot_cpu_data.extended_cpuid_level < 0x80000022 ||
         !(cpuid_eax(0x80000022) & 2) )
        return false;
    stack->kind = TTD_STACK_AMD;
    stack->depth = (cpuid_ebx(0x80000022) >> 4) & 0x3f;

    return stack->depth && stack->depth <= TTD_STACK_MAX;
}

static bool find_brs(struct ttd_stack *stack)
{
    uint64_t select;

    if ( boot_cpu_data.extended_cpuid_level < 0x80000008 ||
         !(cpuid_ebx(0x80000008) & (1u << 31)) ||
         rdmsr_safe(MSR_AMD_SELECT0, select) || (select & SELECT_ENABLED) )
        return false;
    stack->kind = TTD_STACK_AMD_BRS;
    stack->depth = 16;

    return true;
}

/* Whether this processor has the source. */
bool ttd_stack_find(enum ttd_source source, struct ttd_stack *stack)
{
    bool intel = boot_cpu_data.x86_vendor & X86_VENDOR_INTEL;
    bool amd = boot_cpu_data.x86_vendor & (X86_VENDOR_AMD | X86_VENDOR_HYGON);

    *stack = (struct ttd_stack){};
    switch ( source )
    {
    case TTD_SOURCE_LBR:
        return intel ? find_intel(stack) : amd && find_amd(stack);

    case TTD_SOURCE_BRS:
        return amd && find_brs(stack);

    default:
        return false;
    }
}

/* The registers of record i. */
static void registers_of(const struct ttd_stack *stack, unsigned int i,
                         unsigned int *from, unsigned int *to)
{
    switch ( stack->kind )
    {
    case TTD_STACK_INTEL:
        *from = LEGACY_FROM + i;
        *to = LEGACY_TO + i;
        break;

    case TTD_STACK_INTEL_ARCHITECTURAL:
        *from = MSR_ARCH_LBR_FROM + i;
        *to = MSR_ARCH_LBR_TO + i;
        break;

    default:
        *from = MSR_AMD_RECORD + 2 * i;
        *to = *from + 1;
        break;
    }
}

static void clear(const struct ttd_stack *stack)
{
    unsigned int i, from, to;

    if ( stack->kind == TTD_STACK_INTEL_ARCHITECTURAL )
    {
        wrmsrl(MSR_ARCH_LBR_DEPTH, stack->depth);
        return;
    }
    if ( stack->kind == TTD_STACK_AMD_BRS )
        return;                 /* VALID and NEXT are cleared with the rest */
    for ( i = 0; i < stack->depth; i++ )
    {
        registers_of(stack, i, &from, &to);
        wrmsrl(from, 0);
        wrmsrl(to, 0);
    }
}

int ttd_stack_begin(struct ttd_session *s)
{
    return s->machine->records ? s->machine->records(s->vcpu, true) : 0;
}

void ttd_stack_end(struct ttd_session *s)
{
    if ( s->machine->records )
        s->machine->records(s->vcpu, false);
}

/* Last before an entry. */
void ttd_stack_entry(struct ttd_session *s)
{
    const struct ttd_stack *stack = &s->trace.stack;
    uint64_t config;

    clear(stack);
    switch ( stack->kind )
    {
    case TTD_STACK_INTEL:
        wrmsrl(MSR_NHL_LBR_SELECT, 0);  /* nothing is left out */
        break;

    case TTD_STACK_AMD:
        wrmsrl(MSR_AMD_SELECT, 0);
        rdmsrl(MSR_AMD_CONFIG, config);
        wrmsrl(MSR_AMD_CONFIG, config | AMD_LBR_ENABLE);
        break;

    case TTD_STACK_AMD_BRS:
        /* The first taken branch of the guest overflows the counter. */
        wrmsrl(MSR_AMD_SELECT0, 0);
        wrmsrl(MSR_AMD_COUNTER0, ~0ul);
        wrmsrl(MSR_AMD_CONFIG, TTD_BRS_ENABLE | TTD_BRS_RESERVED);
        wrmsrl(MSR_AMD_SELECT0, AMD_TAKEN_BRANCHES);
        break;

    default:
        break;
    }
    s->trace.recording = true;
}

/* The number that says how full the records are; nothing is recorded from here. */
static uint64_t stop(const struct ttd_stack *stack)
{
    uint64_t value = 0;

    switch ( stack->kind )
    {
    case TTD_STACK_INTEL:
        rdmsrl(MSR_NHL_LASTBRANCH_TOS, value);
        break;

    case TTD_STACK_AMD:
        rdmsrl(MSR_AMD_CONFIG, value);
        wrmsrl(MSR_AMD_CONFIG, value & ~AMD_LBR_ENABLE);
        break;

    case TTD_STACK_AMD_BRS:
        rdmsrl(MSR_AMD_CONFIG, value);
        wrmsrl(MSR_AMD_CONFIG, TTD_BRS_RESERVED);
        wrmsrl(MSR_AMD_SELECT0, 0);
        break;

    default:
        break;
    }

    return value;
}

static bool is_of_xen(uint64_t address)
{
    return address >= HYPERVISOR_VIRT_START && address < HYPERVISOR_VIRT_END;
}

/* First at an exit. */
void ttd_stack_exit(struct ttd_session *s)
{
    const struct ttd_stack *stack = &s->trace.stack;
    struct ttd_stack_record raw[TTD_STACK_MAX], record[TTD_STACK_MAX];
    unsigned int i, nr, from, to;
    enum ttd_stack_gap gap;
    uint64_t top;

    if ( !s->trace.recording )
        return;
    s->trace.recording = false;
    top = stop(stack);
    for ( i = 0; i < stack->depth; i++ )
    {
        registers_of(stack, i, &from, &to);
        rdmsrl(from, raw[i].from);
        rdmsrl(to, raw[i].to);
    }
    nr = ttd_stack_decode(stack, top, raw, record, &gap);

    if ( gap == TTD_STACK_GAP_BEFORE )
        ttd_trace_gap(s);
    for ( i = 0; i < nr; i++ )
        if ( !is_of_xen(record[i].from) && !is_of_xen(record[i].to) )
            ttd_trace_add(s, record[i].from, record[i].to);
    if ( gap == TTD_STACK_GAP_AFTER )
        ttd_trace_gap(s);
    /* The guest is about to use the records itself. */
    if ( s->event.kind == TTD_KIND_WRMSR &&
         (s->event.info == MSR_IA32_DEBUGCTLMSR ||
          s->event.info == MSR_ARCH_LBR_CTL) )
        ttd_trace_close(s, TTD_WINDOW_LOST);
}
