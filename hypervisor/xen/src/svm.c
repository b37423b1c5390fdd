/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recording and replaying on AMD's SVM. */
#include <xen/sched.h>
#include <asm/debugreg.h>
#include <asm/hvm/hvm.h>
#include <asm/hvm/support.h>
#include <asm/hvm/svm/svm.h>
#include <asm/hvm/svm/vmcb.h>
#include <asm/smp.h>
#include <irq_vectors.h>
#include "private.h"

/* EXITINFO1 of IOIO: AMD's manual volume 2, 15.10.2. */
#define IOIO_IN         (1u << 0)
#define IOIO_STRING     (1u << 2)
#define IOIO_SIZE(info) (((info) >> 4) & 7)     /* 1, 2 or 4 bytes */
#define IOIO_PORT(info) (((info) >> 16) & 0xffff)

static void describe_port(const struct vmcb_struct *vmcb,
                          struct ttd_event *event)
{
    uint64_t info = vmcb->exitinfo1;

    event->kind = info & IOIO_IN ? TTD_KIND_PORT_READ : TTD_KIND_PORT_WRITE;
    event->info = IOIO_PORT(info) | (IOIO_SIZE(info) << 16) |
                  (info & IOIO_STRING ? 1u << 24 : 0);
}

static void cf_check describe(struct vcpu *v, const struct cpu_user_regs *regs,
                              struct ttd_event *event)
{
    const struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;

    *event = (struct ttd_event){
        .code = vmcb->exitcode,
        .shadow = vmcb->int_stat.intr_shadow,
    };

    switch ( vmcb->exitcode )
    {
    case VMEXIT_INTR:
    case VMEXIT_NMI:
    case VMEXIT_SMI:
    case VMEXIT_PAUSE:          /* after a count that the guest cannot see */
    case VMEXIT_IRET:
    case VMEXIT_EXCEPTION_NM:   /* Xen's own, for its lazy FPU */
    case VMEXIT_EXCEPTION_MC:
    case VMEXIT_DR0_READ ... VMEXIT_DR15_WRITE: /* the first since a switch */
        event->asynchronous = true;
        break;

    case VMEXIT_VINTR:
        event->asynchronous = event->window = true;
        break;

    case VMEXIT_EXCEPTION_DB:
        event->asynchronous = event->breakpoint = true;
        break;

    case VMEXIT_RDTSC:
    case VMEXIT_RDTSCP:
        event->kind = TTD_KIND_RDTSC;
        event->info = vmcb->exitcode == VMEXIT_RDTSCP;
        break;

    case VMEXIT_CPUID:
        event->kind = TTD_KIND_CPUID;
        event->info = (uint32_t)regs->rax | (regs->rcx << 32);
        break;

    case VMEXIT_MSR:
        event->kind = vmcb->exitinfo1 ? TTD_KIND_WRMSR : TTD_KIND_RDMSR;
        event->info = (uint32_t)regs->rcx;
        event->may_write = vmcb->exitinfo1;
        break;

    case VMEXIT_IOIO:
        describe_port(vmcb, event);
        break;

    case VMEXIT_NPF:
        event->kind = TTD_KIND_MEMORY;
        event->info = vmcb->exitinfo2;
        break;

    case VMEXIT_VMMCALL:
        event->kind = TTD_KIND_HYPERCALL;
        event->info = (uint32_t)regs->rax;
        event->may_write = true;
        break;

    case VMEXIT_HLT:
        event->kind = TTD_KIND_HALT;
        break;

    case VMEXIT_CR0_READ ... VMEXIT_CR15_READ:
        event->kind = TTD_KIND_CONTROL_READ;
        event->info = vmcb->exitcode - VMEXIT_CR0_READ;
        break;

    case VMEXIT_CR0_WRITE ... VMEXIT_CR15_WRITE:
        event->kind = TTD_KIND_CONTROL_WRITE;
        event->info = vmcb->exitcode - VMEXIT_CR0_WRITE;
        break;

    case VMEXIT_SHUTDOWN:
        event->kind = TTD_KIND_SHUTDOWN;
        event->may_write = true;
        break;

    default:
        if ( vmcb->exitcode >= VMEXIT_EXCEPTION_DE &&
             vmcb->exitcode < VMEXIT_INTR )
        {
            event->kind = TTD_KIND_EXCEPTION;
            event->info = vmcb->exitcode - VMEXIT_EXCEPTION_DE;
        }
        event->may_write = true;
        break;
    }
}

/* EVENTINJ has the format of TTD_INJECTED: AMD's manual volume 2, 15.20. */
static uint64_t cf_check get_injection(const struct vcpu *v)
{
    const struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;

    return vmcb->event_inj.v ? vmcb->event_inj.raw : 0;
}

static void cf_check set_injection(struct vcpu *v, uint64_t event)
{
    v->arch.hvm.svm.vmcb->event_inj.raw = event;
}

static void cf_check open_window(struct vcpu *v)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;
    vintr_t intr = vmcb_get_vintr(vmcb);

    intr.fields.irq = 1;
    intr.fields.vector = 0;
    intr.fields.prio = 0xf;
    intr.fields.ign_tpr = 1;
    vmcb_set_vintr(vmcb, intr);
    vmcb_set_general1_intercepts(vmcb, vmcb_get_general1_intercepts(vmcb) |
                                       GENERAL1_INTERCEPT_VINTR);
}

static bool cf_check window_is_open(const struct vcpu *v)
{
    return vmcb_get_general1_intercepts(v->arch.hvm.svm.vmcb) &
           GENERAL1_INTERCEPT_VINTR;
}

static void cf_check end_shadow(struct vcpu *v)
{
    v->arch.hvm.svm.vmcb->int_stat.raw = 0;
}

/*
 * The processor loads DR7 from the VMCB and DR0 not at all.  QEMU sets no
 * breakpoint for a DR7 that it loads from a VMCB: it needs the register itself.
 */
static void cf_check set_breakpoint(struct vcpu *v, struct cpu_user_regs *regs,
                                    unsigned long rip)
{
    unsigned long dr7 = X86_DR7_DEFAULT;

    if ( rip )
    {
        write_debugreg(0, rip);
        dr7 |= 2;               /* an instruction at DR0 */
        if ( regs->rip == rip )
            regs->rflags |= X86_EFLAGS_RF;      /* go past it this time */
    }
    if ( v == current )
        write_debugreg(7, dr7);
    vmcb_set_dr7(v->arch.hvm.svm.vmcb, dr7);
}

/* An event whose delivery the exit interrupted is delivered again. */
static void cf_check skip(struct vcpu *v)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;

    vmcb->cleanbits.raw = 0;
    if ( unlikely(vmcb->exit_int_info.v) )
        vmcb->event_inj = vmcb->exit_int_info;
}

static void cf_check switches(struct vcpu *v, bool on)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;
    uint32_t intercepts = vmcb_get_cr_intercepts(vmcb);

    if ( on != !!(intercepts & CR_INTERCEPT_CR3_WRITE) )
        vmcb_set_cr_intercepts(vmcb, intercepts ^ CR_INTERCEPT_CR3_WRITE);
}

/* In a branch window all exceptions exit, and int. */
static void cf_check trace(struct vcpu *v, bool on)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;
    struct ttd_trace *t = &v->arch.hvm.ttd->trace;
    uint32_t general = vmcb_get_general1_intercepts(vmcb);

    if ( on )
    {
        t->saved.exceptions = vmcb_get_exception_intercepts(vmcb);
        t->saved.dr6 = vmcb_get_dr6(vmcb);
        vmcb_set_exception_intercepts(vmcb, t->saved.exceptions |
                                            ~(1u << TRAP_nmi));
        general |= GENERAL1_INTERCEPT_SWINT;
    }
    else
    {
        vmcb_set_exception_intercepts(vmcb, t->saved.exceptions);
        general &= ~GENERAL1_INTERCEPT_SWINT;
    }
    vmcb_set_general1_intercepts(vmcb, general);
}

static void cf_check step(struct vcpu *v, struct cpu_user_regs *regs,
                          enum ttd_step how, unsigned long target)
{
    switch ( how )
    {
    case TTD_STEP_TRAP:
        regs->rflags |= X86_EFLAGS_TF;
        break;

    case TTD_STEP_TARGET:
        set_breakpoint(v, regs, target);
        break;

    case TTD_STEP_DELIVERY:
        /* Pending at the entry: it exits before the handler. */
        send_IPI_self(EVENT_CHECK_VECTOR);
        break;
    }
}

/* QEMU reports int3 and into, which have no operand, as int, too. */
static bool has_operand(const struct ttd_code *code)
{
    return code->size > 1 && code->bytes[code->size - 2] == 0xcd;
}

/* Delivers the exception that exited: it was the window's. */
static void deliver(struct vcpu *v, const struct ttd_code *code)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;
    struct x86_event event = {
        .vector = vmcb->exitcode - VMEXIT_EXCEPTION_DE,
        .type = X86_EVENTTYPE_HW_EXCEPTION,
        .error_code = X86_EVENT_NO_EC,
    };
    uint8_t last = code->size ? code->bytes[code->size - 1] : 0;

    if ( vmcb->exitcode == VMEXIT_SWINT )
        event.vector = has_operand(code) ? last :
                       last == 0xce ? TRAP_overflow : TRAP_int3;
    if ( vmcb->exitcode == VMEXIT_SWINT && has_operand(code) )
        event.type = X86_EVENTTYPE_SW_INTERRUPT;
    else if ( event.vector == TRAP_int3 || event.vector == TRAP_overflow )
        event.type = X86_EVENTTYPE_SW_EXCEPTION;
    else if ( TRAP_HAVE_EC & (1u << event.vector) )
        event.error_code = vmcb->exitinfo1;
    if ( event.type != X86_EVENTTYPE_HW_EXCEPTION )
        event.insn_len = code->size;
    else if ( event.vector == TRAP_page_fault )
        event.cr2 = vmcb->exitinfo2;

    /* An exception during a delivery may become a double fault. */
    vmcb->event_inj.raw = vmcb->exit_int_info.v ? vmcb->exit_int_info.raw : 0;
    hvm_inject_event(&event);
}

static enum ttd_stop cf_check stepped(struct vcpu *v,
                                      struct cpu_user_regs *regs,
                                      enum ttd_step how,
                                      const struct ttd_code *code)
{
    struct vmcb_struct *vmcb = v->arch.hvm.svm.vmcb;

    if ( how == TTD_STEP_TRAP )
        regs->rflags &= ~X86_EFLAGS_TF;
    else if ( how == TTD_STEP_TARGET )
        set_breakpoint(v, regs, 0);

    switch ( vmcb->exitcode )
    {
    case VMEXIT_EXCEPTION_DB:
        vmcb->cleanbits.raw = 0;
        vmcb_set_dr6(vmcb, v->arch.hvm.ttd->trace.saved.dr6);
        return TTD_STOP_STEP;

    case VMEXIT_EXCEPTION_NMI:
    case VMEXIT_EXCEPTION_MC:
    case VMEXIT_EXCEPTION_AC:   /* exits in a recording too */
        break;

    case VMEXIT_EXCEPTION_DE:
    case VMEXIT_EXCEPTION_BP ... VMEXIT_EXCEPTION_PF:
    case VMEXIT_EXCEPTION_MF:
    case VMEXIT_EXCEPTION_XF:
    case VMEXIT_SWINT:
        vmcb->cleanbits.raw = 0;
        deliver(v, code);
        return TTD_STOP_FAULT;
    }

    return TTD_STOP_OTHER;
}

const struct ttd_machine ttd_svm = {
    .describe = describe,
    .get_injection = get_injection,
    .set_injection = set_injection,
    .open_window = open_window,
    .window_is_open = window_is_open,
    .end_shadow = end_shadow,
    .set_breakpoint = set_breakpoint,
    .skip = skip,
    .switches = switches,
    .trace = trace,
    .step = step,
    .stepped = stepped,
};
