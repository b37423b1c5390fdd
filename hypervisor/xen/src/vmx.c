/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recording and replaying on Intel's VMX.
 *
 * Unproven: this compiles and has never run.
 */
#include <xen/sched.h>
#include <asm/debugreg.h>
#include <asm/hvm/hvm.h>
#include <asm/hvm/vmx/vmcs.h>
#include <asm/hvm/vmx/vmx.h>
#include "private.h"

/* Exit qualifications: Intel's manual volume 3, tables 28-3 and 28-5. */
#define CODE(reason)    (TTD_CODE_VMX + (uint16_t)(reason))
#define IO_SIZE(info)   (((info) & 7) + 1)
#define IO_IN           (1u << 3)
#define IO_STRING       (1u << 4)
#define IO_PORT(info)   (((info) >> 16) & 0xffff)
#define CR_NUMBER(info) ((info) & 0xf)
#define CR_FROM(info)   ((((info) >> 4) & 3) == 1)

/* Enable, in kernel and user mode; all seven kinds of branches. */
#define ARCH_LBR_ALL     (0x7ful << 16 | 7)

static void describe_port(unsigned long info, struct ttd_event *event)
{
    event->kind = info & IO_IN ? TTD_KIND_PORT_READ : TTD_KIND_PORT_WRITE;
    event->info = IO_PORT(info) | (IO_SIZE(info) << 16) |
                  (info & IO_STRING ? 1u << 24 : 0);
}

static void describe_exception(struct ttd_event *event)
{
    unsigned long info;
    unsigned int vector;

    __vmread(VM_EXIT_INTR_INFO, &info);
    vector = info & INTR_INFO_VECTOR_MASK;
    switch ( vector )
    {
    case TRAP_debug:
        event->breakpoint = true;
        /* fallthrough */
    case TRAP_nmi:
    case TRAP_machine_check:
    case TRAP_no_device:
        event->asynchronous = true;
        break;

    default:
        event->kind = TTD_KIND_EXCEPTION;
        event->info = vector;
        event->may_write = true;
        break;
    }
}

static void cf_check describe(struct vcpu *v, const struct cpu_user_regs *regs,
                              struct ttd_event *event)
{
    unsigned long reason, info, shadow;

    __vmread(VM_EXIT_REASON, &reason);
    __vmread(EXIT_QUALIFICATION, &info);
    __vmread(GUEST_INTERRUPTIBILITY_INFO, &shadow);
    *event = (struct ttd_event){
        .code = CODE(reason),
        .shadow = shadow & (VMX_INTR_SHADOW_STI | VMX_INTR_SHADOW_MOV_SS),
    };

    switch ( (uint16_t)reason )
    {
    case EXIT_REASON_EXTERNAL_INTERRUPT:
    case EXIT_REASON_INIT:
    case EXIT_REASON_PENDING_VIRT_NMI:
    case EXIT_REASON_PAUSE_INSTRUCTION:
    case EXIT_REASON_MONITOR_TRAP_FLAG:
    case EXIT_REASON_VMX_PREEMPTION_TIMER_EXPIRED:
    case EXIT_REASON_DR_ACCESS:
        event->asynchronous = true;
        break;

    case EXIT_REASON_PENDING_VIRT_INTR:
        event->asynchronous = event->window = true;
        break;

    case EXIT_REASON_EXCEPTION_NMI:
        describe_exception(event);
        break;

    case EXIT_REASON_RDTSC:
    case EXIT_REASON_RDTSCP:
        event->kind = TTD_KIND_RDTSC;
        event->info = (uint16_t)reason == EXIT_REASON_RDTSCP;
        break;

    case EXIT_REASON_CPUID:
        event->kind = TTD_KIND_CPUID;
        event->info = (uint32_t)regs->rax | (regs->rcx << 32);
        break;

    case EXIT_REASON_MSR_READ:
        event->kind = TTD_KIND_RDMSR;
        event->info = (uint32_t)regs->rcx;
        break;

    case EXIT_REASON_MSR_WRITE:
        event->kind = TTD_KIND_WRMSR;
        event->info = (uint32_t)regs->rcx;
        event->may_write = true;
        break;

    case EXIT_REASON_IO_INSTRUCTION:
        describe_port(info, event);
        break;

    case EXIT_REASON_EPT_VIOLATION:
    case EXIT_REASON_EPT_MISCONFIG:
        event->kind = TTD_KIND_MEMORY;
        __vmread(GUEST_PHYSICAL_ADDRESS, &info);
        event->info = info;
        break;

    case EXIT_REASON_VMCALL:
        event->kind = TTD_KIND_HYPERCALL;
        event->info = (uint32_t)regs->rax;
        event->may_write = true;
        break;

    case EXIT_REASON_HLT:
        event->kind = TTD_KIND_HALT;
        break;

    case EXIT_REASON_CR_ACCESS:
        event->kind = CR_FROM(info) ? TTD_KIND_CONTROL_READ
                                    : TTD_KIND_CONTROL_WRITE;
        event->info = CR_NUMBER(info);
        break;

    case EXIT_REASON_TRIPLE_FAULT:
        event->kind = TTD_KIND_SHUTDOWN;
        event->may_write = true;
        break;

    default:
        event->may_write = true;
        break;
    }
}

/* The entry's interruption information has the same bits as AMD's EVENTINJ. */
static uint64_t cf_check get_injection(const struct vcpu *v)
{
    unsigned long info, error = 0;

    __vmread(VM_ENTRY_INTR_INFO, &info);
    if ( !(info & INTR_INFO_VALID_MASK) )
        return 0;
    if ( info & INTR_INFO_DELIVER_CODE_MASK )
        __vmread(VM_ENTRY_EXCEPTION_ERROR_CODE, &error);

    return (uint32_t)info | (error << 32);
}

static void cf_check set_injection(struct vcpu *v, uint64_t event)
{
    __vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, event >> 32);
    __vmwrite(VM_ENTRY_INTR_INFO, (uint32_t)event);
}

static void cf_check open_window(struct vcpu *v)
{
    v->arch.hvm.vmx.exec_control |= CPU_BASED_VIRTUAL_INTR_PENDING;
    vmx_update_cpu_exec_control(v);
}

static bool cf_check window_is_open(const struct vcpu *v)
{
    return v->arch.hvm.vmx.exec_control & CPU_BASED_VIRTUAL_INTR_PENDING;
}

static void cf_check end_shadow(struct vcpu *v)
{
    unsigned long shadow;

    __vmread(GUEST_INTERRUPTIBILITY_INFO, &shadow);
    shadow &= ~(VMX_INTR_SHADOW_STI | VMX_INTR_SHADOW_MOV_SS);
    __vmwrite(GUEST_INTERRUPTIBILITY_INFO, shadow);
}

static void cf_check set_breakpoint(struct vcpu *v, struct cpu_user_regs *regs,
                                    unsigned long rip)
{
    unsigned long dr7 = X86_DR7_DEFAULT;

    if ( rip )
    {
        write_debugreg(0, rip);
        dr7 |= 2;               /* an instruction at DR0 */
        if ( regs->rip == rip )
            regs->rflags |= X86_EFLAGS_RF;
    }
    vmx_vmcs_enter(v);
    __vmwrite(GUEST_DR7, dr7);
    vmx_vmcs_exit(v);
}

static void cf_check skip(struct vcpu *v)
{
    unsigned long info, error = 0;

    __vmread(IDT_VECTORING_INFO, &info);
    if ( !(info & INTR_INFO_VALID_MASK) )
        return;
    if ( info & INTR_INFO_DELIVER_CODE_MASK )
        __vmread(IDT_VECTORING_ERROR_CODE, &error);
    set_injection(v, (uint32_t)info | (error << 32));
}

static void cf_check switches(struct vcpu *v, bool on)
{
    uint32_t *control = &v->arch.hvm.vmx.exec_control;

    /* Without paging the exits are Xen's own. */
    if ( on == !!(*control & CPU_BASED_CR3_LOAD_EXITING) ||
         (!on && !hvm_paging_enabled(v)) )
        return;
    *control ^= CPU_BASED_CR3_LOAD_EXITING;
    vmx_vmcs_enter(v);
    vmx_update_cpu_exec_control(v);
    vmx_vmcs_exit(v);
}

/* The counter is on in the guest and off in Xen. */
static int cf_check count(struct vcpu *v, bool on)
{
    int rc = 0;

    if ( on )
    {
        rc = vmx_add_guest_msr(v, MSR_CORE_PERF_GLOBAL_CTRL, 1);
        if ( !rc )
            rc = vmx_add_host_load_msr(v, MSR_CORE_PERF_GLOBAL_CTRL, 0);
    }
    if ( !on || rc )
    {
        vmx_del_msr(v, MSR_CORE_PERF_GLOBAL_CTRL, VMX_MSR_GUEST);
        vmx_del_msr(v, MSR_CORE_PERF_GLOBAL_CTRL, VMX_MSR_HOST);
    }

    return rc;
}

/*
 * Records of branches are on in the guest and off in Xen.  An exit clears
 * DEBUGCTL; the control register of architectural LBRs is switched.
 */
static int cf_check records(struct vcpu *v, bool on)
{
    bool switched = v->arch.hvm.ttd->trace.stack.kind ==
                    TTD_STACK_INTEL_ARCHITECTURAL;
    unsigned long control;
    int rc = 0;

    if ( !switched )
    {
        vmx_vmcs_enter(v);
        __vmread(GUEST_IA32_DEBUGCTL, &control);
        if ( on && control )
            rc = -EBUSY;        /* the guest's own use */
        else
            __vmwrite(GUEST_IA32_DEBUGCTL, on ? IA32_DEBUGCTLMSR_LBR : 0);
        vmx_vmcs_exit(v);
        return rc;
    }
    if ( on )
    {
        rc = vmx_add_guest_msr(v, MSR_ARCH_LBR_CTL, ARCH_LBR_ALL);
        if ( !rc )
            rc = vmx_add_host_load_msr(v, MSR_ARCH_LBR_CTL, 0);
    }
    if ( !on || rc )
    {
        vmx_del_msr(v, MSR_ARCH_LBR_CTL, VMX_MSR_GUEST);
        vmx_del_msr(v, MSR_ARCH_LBR_CTL, VMX_MSR_HOST);
    }

    return rc;
}

/* The monitor trap flag needs neither the trap flag nor exceptions that exit. */
static void cf_check trace(struct vcpu *v, bool on)
{
}

static void monitor_trap(struct vcpu *v, bool on)
{
    uint32_t *control = &v->arch.hvm.vmx.exec_control;

    *control &= ~CPU_BASED_MONITOR_TRAP_FLAG;
    if ( on )
        *control |= CPU_BASED_MONITOR_TRAP_FLAG;
    vmx_update_cpu_exec_control(v);
}

static void cf_check step(struct vcpu *v, struct cpu_user_regs *regs,
                          enum ttd_step how, unsigned long target)
{
    monitor_trap(v, true);
}

static enum ttd_stop cf_check stepped(struct vcpu *v,
                                      struct cpu_user_regs *regs,
                                      enum ttd_step how,
                                      const struct ttd_code *code)
{
    unsigned long reason;

    monitor_trap(v, false);
    __vmread(VM_EXIT_REASON, &reason);

    return (uint16_t)reason == EXIT_REASON_MONITOR_TRAP_FLAG ? TTD_STOP_STEP
                                                             : TTD_STOP_OTHER;
}

const struct ttd_machine ttd_vmx = {
    .describe = describe,
    .get_injection = get_injection,
    .set_injection = set_injection,
    .open_window = open_window,
    .window_is_open = window_is_open,
    .end_shadow = end_shadow,
    .set_breakpoint = set_breakpoint,
    .skip = skip,
    .switches = switches,
    .count = count,
    .records = records,
    .trace = trace,
    .step = step,
    .stepped = stepped,
};
