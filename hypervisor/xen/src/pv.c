/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV guests.
 *
 * A PV guest runs in ring 3.  Its hypercalls, its exceptions and the system
 * calls of its programs are its synchronous exits; physical interrupts are the
 * others.  It is entered at one place in entry.S, when the frames of exceptions
 * and upcalls are on its stack.
 *
 * What Xen itself writes for a bounce (the frame, the mask of upcalls, CR2) is
 * the same in a replay, where it is done again.  An upcall needs no vector: it
 * is delivered when its bit in vcpu_info is set and not masked.  A recording
 * says where it was delivered, and a replay delivers it there and nowhere else.
 *
 * A PV guest sees machine frames, which differ between two domains: in its page
 * tables, and so in its memory and registers.  Hypercalls that have one in a
 * register are compared without it.  Only a guest that handles no others can be
 * replayed.
 */
#include <xen/domain_page.h>
#include <xen/event.h>
#include <xen/softirq.h>
#include <asm/debugreg.h>
#include <asm/guest_access.h>
#include <asm/regs.h>
#include <asm/shared.h>
#include <public/sched.h>
#include "private.h"

#define EVENT_VALID (1ul << 31)

/* The upcall of the event channels has no vector; Linux uses this one for it. */
#define UPCALL_VECTOR 0xf3

/* ------------------------------------------------------------- exits */

/* The instruction at rip, without its prefixes. */
struct instruction {
    bool word;                  /* operands of 16 bits */
    uint8_t rex;
    uint8_t op[8];
};

static void fetch(const struct cpu_user_regs *regs, struct instruction *code)
{
    uint8_t bytes[16] = {};
    unsigned int i;

    memset(code, 0, sizeof(*code));
    /* The bytes after the end of a page may not be there. */
    if ( copy_from_guest_pv(bytes, (void __user *)regs->rip,
                            sizeof(bytes)) == sizeof(bytes) )
        return;
    for ( i = 0; i < sizeof(bytes) - sizeof(code->op); i++ )
    {
        if ( (bytes[i] & 0xf0) == 0x40 )
            code->rex = bytes[i];
        else if ( bytes[i] == 0x66 )
            code->word = true;
        else if ( bytes[i] != 0x67 && bytes[i] != 0xf2 && bytes[i] != 0xf3 )
            break;
    }
    memcpy(code->op, bytes + i, sizeof(code->op));
}

/* in, out, ins, outs: opcodes 0xe4 to 0xe7, 0xec to 0xef, 0x6c to 0x6f. */
static void describe_port(const struct instruction *code,
                          const struct cpu_user_regs *regs,
                          struct ttd_event *event)
{
    uint8_t op = code->op[0];
    bool string = op < 0x70, immediate = (op & 0xfc) == 0xe4;
    unsigned int bytes = !(op & 1) ? 1 : code->word ? 2 : 4;

    event->kind = op & 2 ? TTD_KIND_PORT_WRITE : TTD_KIND_PORT_READ;
    event->info = (immediate ? code->op[1] : (uint16_t)regs->rdx) |
                  (bytes << 16) | (string ? 1u << 24 : 0);
}

/* Instructions of two bytes that begin with 0x0f. */
static void describe_0f(const struct instruction *code,
                        const struct cpu_user_regs *regs,
                        struct ttd_event *event)
{
    unsigned int number = ((code->op[2] >> 3) & 7) | ((code->rex & 4) << 1);

    switch ( code->op[1] )
    {
    case 0x31:
        event->kind = TTD_KIND_RDTSC;
        event->info = 0;
        break;

    case 0x01:
        if ( code->op[2] != 0xf9 )
            break;
        event->kind = TTD_KIND_RDTSC;
        event->info = 1;
        break;

    case 0x32:
    case 0x30:
        event->kind = code->op[1] == 0x32 ? TTD_KIND_RDMSR : TTD_KIND_WRMSR;
        event->info = (uint32_t)regs->rcx;
        break;

    case 0x20:
    case 0x22:
        event->kind = code->op[1] == 0x20 ? TTD_KIND_CONTROL_READ
                                          : TTD_KIND_CONTROL_WRITE;
        event->info = number;
        break;

    case 0xa2:
        event->kind = TTD_KIND_CPUID;
        event->info = (uint32_t)regs->rax | (regs->rcx << 32);
        break;
    }
}

/* A general protection fault: mostly an instruction that Xen emulates. */
static void describe_privileged(const struct cpu_user_regs *regs,
                                struct ttd_event *event)
{
    struct instruction code;

    if ( regs->error_code )
        return;
    fetch(regs, &code);
    switch ( code.op[0] )
    {
    case 0x0f:
        describe_0f(&code, regs, event);
        break;

    case 0xf4:
        event->kind = TTD_KIND_HALT;
        event->info = 0;
        break;

    case 0x6c ... 0x6f:
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        describe_port(&code, regs, event);
        break;
    }
}

/* CPUID as PV guests write it: XEN_CPUID. */
static void describe_invalid(const struct cpu_user_regs *regs,
                             struct ttd_event *event)
{
    static const uint8_t forced[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
    struct instruction code;

    fetch(regs, &code);
    if ( memcmp(code.op, forced, sizeof(forced)) )
        return;
    event->kind = TTD_KIND_CPUID;
    event->info = (uint32_t)regs->rax | (regs->rcx << 32);
}

static void describe_hypercall(const struct cpu_user_regs *regs,
                               struct ttd_event *event)
{
    event->kind = TTD_KIND_HYPERCALL;
    event->info = (uint32_t)regs->rax;
    event->past = 2;
    event->may_write = true;
    switch ( event->info )
    {
    case __HYPERVISOR_update_va_mapping:
    case __HYPERVISOR_update_va_mapping_otherdomain:
        event->frame = 1 + TTD_RSI;
        break;

    case __HYPERVISOR_update_descriptor:
        event->frame = 1 + TTD_RDI;
        break;
    }
}

static void cf_check describe(struct vcpu *v, const struct cpu_user_regs *regs,
                              struct ttd_event *event)
{
    const struct ttd_session *s = v->arch.pv.ttd;
    unsigned int vector = regs->entry_vector & 0xff;

    *event = (struct ttd_event){ .code = TTD_CODE_PV + regs->entry_vector };
    if ( !s->pv.hooked )
    {
        event->asynchronous = true;
        return;
    }
    if ( regs->entry_vector & TRAP_syscall )
    {
        if ( guest_kernel_mode(v, regs) )
            describe_hypercall(regs, event);
        return;
    }
    if ( vector == TRAP_debug && s->armed )
    {
        event->asynchronous = event->breakpoint = true;
        return;
    }
    event->kind = TTD_KIND_EXCEPTION;
    event->info = vector;
    if ( vector == TRAP_gp_fault )
        describe_privileged(regs, event);
    else if ( vector == TRAP_invalid_op )
        describe_invalid(regs, event);
}

bool ttd_pv_exit(struct cpu_user_regs *regs)
{
    struct ttd_session *s = current->arch.pv.ttd;
    bool skip;

    s->pv.entered = false;
    s->pv.hooked = true;
    skip = ttd_exit(regs);
    if ( s->event.breakpoint )
        regs->rflags &= ~X86_EFLAGS_RF; /* the recording's exit has none */

    return skip;
}

/* An exit that had no hook: a physical interrupt. */
static void note_exit(struct ttd_session *s, struct cpu_user_regs *regs)
{
    if ( !s->pv.entered )
        return;
    s->pv.entered = false;
    s->pv.hooked = false;
    ttd_exit(regs);
}

/* A hypercall or HLT that a replay does not handle. */
void ttd_pv_skip(struct ttd_session *s, const struct cpu_user_regs *regs)
{
    if ( s->event.kind == TTD_KIND_HALT ||
         (s->event.kind == TTD_KIND_HYPERCALL &&
          s->event.info == __HYPERVISOR_sched_op &&
          ttd_first_argument(s, regs) == SCHEDOP_block) )
        vcpu_info(s->vcpu, evtchn_upcall_mask) = 0;
}

/* ------------------------------------------------------------ entries */

/* Whether a recorded guest gets the upcall at this entry. */
static bool wants_upcall(struct ttd_session *s)
{
    const struct vcpu *v = s->vcpu;

    if ( !vcpu_info(v, evtchn_upcall_pending) ||
         vcpu_info(v, evtchn_upcall_mask) )
        return false;

    /* The guest allowed it by itself, between two exits: the next one comes. */
    return !s->event.asynchronous || s->acted || !ttd_may_wait(s);
}

/* Everything that belongs to this entry, as far as it is known. */
static void look(struct ttd_session *s, struct cpu_user_regs *regs)
{
    if ( s->state != TTD_STATE_RUNNING )
        return;

    ttd_follow_frames(s);
    ttd_follow_vcpu_info(s);
    if ( s->replaying )
        ttd_replay_before_entry(s, regs);
    else
    {
        ttd_record_before_entry(s, regs);
        if ( s->state == TTD_STATE_RUNNING )
        {
            s->pv.upcall = wants_upcall(s);
            if ( !s->open )
            {
                ttd_take_position(s);
                ttd_record_early(s);
            }
            ttd_record_entry(s, regs, s->machine->get_injection(s->vcpu));
            s->copied = false;      /* others write after the next copy only */
        }
    }
    ttd_control_flow(s);
}

unsigned int ttd_pv_before_entry(void)
{
    struct vcpu *v = current;
    struct ttd_session *s = v->arch.pv.ttd;
    struct cpu_user_regs *regs = guest_cpu_user_regs();

    note_exit(s, regs);
    look(s, regs);
    if ( !ttd_running(s) && !s->replaying )
        s->pv.upcall = vcpu_info(v, evtchn_upcall_pending) &&
                       !vcpu_info(v, evtchn_upcall_mask);
    if ( s->pv.upcall )
    {
        s->pv.upcall = false;
        return TTD_PV_UPCALL;
    }

    local_irq_disable();
    if ( softirq_pending(smp_processor_id()) && !ttd_defer_softirqs() )
        return TTD_PV_AGAIN;
    s->pv.entered = true;

    return TTD_PV_ENTER;
}

bool ttd_pv_defer_softirqs(void)
{
    struct ttd_session *s = current->arch.pv.ttd;
    struct cpu_user_regs *regs = guest_cpu_user_regs();

    note_exit(s, regs);
    /* A guest that has shut down is never entered again. */
    if ( s->domain->is_shutting_down && ttd_running(s) )
    {
        local_irq_enable();
        look(s, regs);
        local_irq_disable();
    }

    return ttd_defer_softirqs();
}

/* In place of an event at the entry: the upcall. */
static uint64_t cf_check get_injection(const struct vcpu *v)
{
    return v->arch.pv.ttd->pv.upcall ? EVENT_VALID | UPCALL_VECTOR : 0;
}

static void cf_check set_injection(struct vcpu *v, uint64_t event)
{
    if ( event & EVENT_VALID )
        v->arch.pv.ttd->pv.upcall = true;
}

static void cf_check nothing(struct vcpu *v)
{
}

static bool cf_check never(const struct vcpu *v)
{
    return false;
}

static void cf_check set_breakpoint(struct vcpu *v, struct cpu_user_regs *regs,
                                    unsigned long rip)
{
    v->arch.dr[0] = rip;
    v->arch.dr7 = X86_DR7_DEFAULT | (rip ? 2 : 0);  /* an instruction at DR0 */
    if ( rip && regs->rip == rip )
        regs->rflags |= X86_EFLAGS_RF;              /* go past it this time */
    if ( v != current )
        return;
    if ( rip )
        activate_debugregs(v);
    else
        write_debugreg(7, X86_DR7_DEFAULT);
}

const struct ttd_machine ttd_pv = {
    .describe = describe,
    .get_injection = get_injection,
    .set_injection = set_injection,
    .open_window = nothing,
    .window_is_open = never,
    .end_shadow = nothing,
    .set_breakpoint = set_breakpoint,
    .skip = nothing,
};

/* ------------------------------------------------------------- memory */

/* Xen copied to the guest's memory. */
void ttd_pv_copied(const void *to, const void *from, unsigned int len)
{
    if ( len )
        ttd_guest_written(current, (unsigned long)to, from, len);
}

bool ttd_pv_write(uint64_t address, const void *from, unsigned int size)
{
    return !copy_to_guest_pv((void __user *)address, from, size);
}

bool ttd_pv_read(void *to, uint64_t address, unsigned int size)
{
    return !copy_from_guest_pv(to, (const void __user *)address, size);
}

/*
 * The mask of upcalls is the guest's and the bounce's, never another writer's:
 * a copy of its area has it as it is now.
 */
void ttd_pv_settle(struct ttd_session *s)
{
    const uint8_t *mask = &vcpu_info(s->vcpu, evtchn_upcall_mask);
    unsigned int i;

    for ( i = TTD_AREA_SHARED_INFO; i <= TTD_AREA_VCPU_INFO; i++ )
    {
        struct ttd_tracked *area = &s->area[i];
        const uint8_t *from = area->mapping;

        if ( from && mask >= from && mask < from + area->size )
            area->copy[mask - from] = *mask;
    }
}

/* Maps the page at a linear address of a guest that does not run; or NULL. */
static const void *map_linear(const struct vcpu *v, unsigned long address)
{
    mfn_t mfn = pagetable_get_mfn(v->arch.guest_table);
    unsigned int level;

    for ( level = 4; level; level-- )
    {
        const intpte_t *table;
        intpte_t entry;

        if ( !mfn_valid(mfn) )
            return NULL;
        table = map_domain_page(mfn);
        entry = table[(address >> (PAGE_SHIFT + (level - 1) *
                                   PAGETABLE_ORDER)) &
                      ((1u << PAGETABLE_ORDER) - 1)];
        unmap_domain_page(table);
        if ( (entry & (_PAGE_PRESENT | (level > 1 ? _PAGE_PSE : 0))) !=
             _PAGE_PRESENT )
            return NULL;
        mfn = _mfn((entry & PADDR_MASK) >> PAGE_SHIFT);
    }

    return mfn_valid(mfn) ? map_domain_page(mfn) : NULL;
}

/* A guest that has not run yet has the address of its start_info in rsi. */
void ttd_pv_track(struct ttd_session *s)
{
    const struct start_info *info =
        map_linear(s->vcpu, s->vcpu->arch.user_regs.rsi & PAGE_MASK);

    if ( info && !memcmp(info->magic, "xen-", 4) )
    {
        ttd_map_area(s, TTD_AREA_CONSOLE, info->console.domU.mfn);
        ttd_map_area(s, TTD_AREA_XENSTORE, info->store_mfn);
    }
    if ( !s->area[TTD_AREA_CONSOLE].mapping )
        printk(XENLOG_WARNING "ttd: d%d has run before: its console and xenstore are not recorded\n",
               s->domain_id);
    if ( info )
        unmap_domain_page(info);
}
