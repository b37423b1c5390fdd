/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Branch windows: a replay emits every taken transfer of a stretch of the run,
 * which its recording did not have.
 *
 * In a window the guest exits after each instruction.  A transfer is a pair of
 * instructions that began one after the other and do not follow each other in
 * memory: so interrupts, exceptions and returns from them are transfers too.
 *
 * Nothing of this may be visible to the guest.  The trap flag is set for
 * instructions that neither read nor write it.  The others (pushf, popf, iret,
 * syscall, sysret, sysenter, sysexit) run with it clear, up to a breakpoint
 * where they go to.  Exceptions and int exit before they are delivered, and
 * all events are delivered with the trap flag clear: a physical interrupt that
 * is pending makes the guest exit before the handler's first instruction.
 * What remains visible are debug registers, which a replayed guest must not
 * use.  A guest that sets the trap flag itself ends the window.
 *
 * The processor's own records of branches are another source: lbr.c.
 */
#include <xen/err.h>
#include <asm/hvm/emulate.h>
#include <asm/hvm/hvm.h>
#include <asm/hvm/support.h>
#include "private.h"

#define EVENT_VALID (1ul << 31)

/* Opcodes without the prefixes that are part of them. */
#define OPCODE(ctxt) ((ctxt)->ctxt.opcode & ~X86EMUL_OPC_PFX_MASK)

int ttd_trace_want(struct ttd_session *s, const struct ttd_op *op)
{
    struct ttd_trace *t = &s->trace;

    if ( !s->replaying || !s->vcpu || t->open )
        return -EINVAL;
    if ( op->branches.from >= op->branches.to || op->branches.to <= s->clock )
        return -EINVAL;
    if ( op->branches.source != TTD_SOURCE_STEP &&
         !ttd_stack_find(op->branches.source, &t->stack) )
    {
        printk(XENLOG_WARNING "ttd: d%d: this processor has no such record of branches (%u)\n",
               s->domain_id, op->branches.source);
        return -ENODEV;
    }
    t->source = op->branches.source;
    t->from = op->branches.from;
    t->to = op->branches.to;
    t->limit = op->branches.limit;
    t->wanted = true;

    return 0;
}

/* Whether the next entry is in the window. */
static bool tracing(const struct ttd_session *s)
{
    const struct ttd_trace *t = &s->trace;

    return t->wanted && s->clock >= t->from && s->clock < t->to;
}

/* Whether the guest is going to stop after each instruction. */
bool ttd_stepping(const struct ttd_session *s)
{
    return s->trace.source == TTD_SOURCE_STEP && tracing(s);
}

/* Gives the transfers to the out ring. */
void ttd_trace_flush(struct ttd_session *s, enum ttd_window kind)
{
    struct ttd_trace *t = &s->trace;
    struct ttd_record record;

    ttd_new_record(s, &record, TTD_BRANCHES);
    record.kind = kind;
    record.info = t->instructions;
    record.length = t->nr * sizeof(t->branch[0]);
    t->nr = 0;
    ttd_put(s, &record, t->branch);
}

/* A transfer of which no more is known. */
void ttd_trace_add(struct ttd_session *s, uint64_t from, uint64_t to)
{
    struct ttd_trace *t = &s->trace;

    t->branch[t->nr] = (struct ttd_branch){ .from = from, .to = to };
    if ( ++t->nr == TTD_BRANCHES_MAX )
        ttd_trace_flush(s, TTD_WINDOW_GOES_ON);
}

/* Transfers may be missing here. */
void ttd_trace_gap(struct ttd_session *s)
{
    ttd_trace_flush(s, TTD_WINDOW_GAP);
}

void ttd_trace_close(struct ttd_session *s, enum ttd_window why)
{
    struct ttd_trace *t = &s->trace;

    if ( !t->wanted )
        return;
    t->wanted = false;
    if ( !t->open )
        return;
    t->open = t->stepping = t->recording = false;
    if ( t->source == TTD_SOURCE_STEP )
        s->machine->trace(s->vcpu, false);
    else
        ttd_stack_end(s);
    if ( s->state == TTD_STATE_RUNNING || s->state == TTD_STATE_BREAK )
        ttd_trace_flush(s, why);
    t->nr = 0;
    printk(XENLOG_INFO "ttd: d%d: branch window ended (%u): clock %lu, instructions %lu, steps %lu\n",
           s->domain_id, why, s->clock, t->instructions, t->steps);
}

static void open_window(struct ttd_session *s)
{
    struct ttd_trace *t = &s->trace;

    t->open = true;
    t->have_last = false;
    t->instructions = t->steps = 0;
    if ( t->source == TTD_SOURCE_STEP )
        s->machine->trace(s->vcpu, true);
    else if ( ttd_stack_begin(s) )
    {
        t->open = t->wanted = false;
        printk(XENLOG_WARNING "ttd: d%d: no branch window: the guest uses the records of branches itself\n",
               s->domain_id);
    }
}

/* A branch that may have its own address as its target. */
static bool loops(unsigned int opcode)
{
    switch ( opcode )
    {
    case 0x70 ... 0x7f:
    case 0xe0 ... 0xe3:
    case 0xe9:
    case 0xeb:
    case 0xff:
    case X86EMUL_OPC(0x0f, 0x80) ... X86EMUL_OPC(0x0f, 0x8f):
        return true;
    }

    return false;
}

static unsigned int access_of(const struct hvm_emulate_ctxt *ctxt,
                              unsigned int pfec)
{
    return pfec | PFEC_page_present |
           (ctxt->seg_reg[x86_seg_ss].dpl == 3 ? PFEC_user_mode : 0);
}

/*
 * Reads and decodes the instruction at regs->rip.  Reads a second page only if
 * the instruction reaches there: a page walk sets accessed bits, as the guest's
 * own fetch is going to do.
 */
static struct x86_emulate_state *decode(struct ttd_code *code,
                                        struct hvm_emulate_ctxt *ctxt,
                                        struct cpu_user_regs *regs)
{
    unsigned int room = PAGE_SIZE - (regs->rip & ~PAGE_MASK);
    uint8_t bytes[sizeof(code->bytes)];
    struct x86_emulate_state *state;
    unsigned int opcode;

    *code = (struct ttd_code){ .rip = regs->rip };
    hvm_emulate_init_once(ctxt, NULL, regs);
    room = min_t(unsigned int, room, sizeof(bytes));
    if ( hvm_copy_from_guest_linear(bytes, regs->rip, room,
                                    access_of(ctxt, PFEC_insn_fetch),
                                    NULL) != HVMTRANS_okay )
        return NULL;

    hvm_emulate_init_per_insn(ctxt, bytes, room);
    state = x86_decode_insn(&ctxt->ctxt, hvmemul_insn_fetch);
    if ( IS_ERR_OR_NULL(state) )
    {
        /* A fetch from the second page failed, or Xen does not know it. */
        code->begins = PTR_ERR(state) != -X86EMUL_EXCEPTION;
        return NULL;
    }
    opcode = OPCODE(ctxt);
    code->begins = true;
    code->size = x86_insn_length(state, &ctxt->ctxt);
    code->loops = loops(opcode);
    code->shadows = opcode == 0x8e || opcode == 0x17 || opcode == 0xfb;
    memcpy(code->bytes, ctxt->insn_buf, min_t(unsigned int, code->size,
                                              sizeof(code->bytes)));

    return state;
}

static unsigned long msr(unsigned int number)
{
    uint64_t value;

    return hvm_funcs.msr_read_intercept(number, &value) == X86EMUL_OKAY
           ? value : 0;
}

/* Where iret goes to; 0 if its stack cannot be read. */
static unsigned long iret_target(const struct hvm_emulate_ctxt *ctxt,
                                 const struct x86_emulate_state *state)
{
    const struct segment_register *ss = &ctxt->seg_reg[x86_seg_ss];
    bool is_long = ctxt->ctxt.addr_size == 64;
    unsigned long sp = is_long ? ctxt->ctxt.regs->rsp
                               : ss->base + (uint32_t)ctxt->ctxt.regs->rsp;
    uint64_t target = 0;

    if ( hvm_copy_from_guest_linear(&target, sp, x86_insn_opsize(state) / 8,
                                    access_of(ctxt, 0), NULL) != HVMTRANS_okay )
        return 0;

    return target;
}

/*
 * Where an instruction goes to that reads or writes the trap flag; 0 for all
 * others, and if it is going to fault.
 */
static unsigned long target_of(const struct hvm_emulate_ctxt *ctxt,
                               const struct x86_emulate_state *state,
                               const struct ttd_code *code)
{
    const struct cpu_user_regs *regs = ctxt->ctxt.regs;
    bool is_long = ctxt->ctxt.addr_size == 64;

    switch ( OPCODE(ctxt) )
    {
    case 0x9c:                              /* pushf */
    case 0x9d:                              /* popf */
        return code->rip + code->size;

    case 0xcf:                              /* iret */
        return iret_target(ctxt, state);

    case X86EMUL_OPC(0x0f, 0x05):           /* syscall */
        if ( !ctxt->ctxt.lma )
            return (uint32_t)msr(MSR_STAR);
        return msr(is_long ? MSR_LSTAR : MSR_CSTAR);

    case X86EMUL_OPC(0x0f, 0x07):           /* sysret */
        return x86_insn_opsize(state) == 64 ? regs->rcx : (uint32_t)regs->rcx;

    case X86EMUL_OPC(0x0f, 0x34):           /* sysenter */
        return msr(MSR_IA32_SYSENTER_EIP);

    case X86EMUL_OPC(0x0f, 0x35):           /* sysexit */
        return x86_insn_opsize(state) == 64 ? regs->rdx : (uint32_t)regs->rdx;
    }

    return 0;
}

/* The instruction after one that holds a debug trap back. */
static void decode_after(struct ttd_trace *t, struct hvm_emulate_ctxt *ctxt,
                         const struct cpu_user_regs *regs)
{
    struct cpu_user_regs then = *regs;
    struct x86_emulate_state *state;

    then.rip += t->code.size;
    state = decode(&t->after, ctxt, &then);
    if ( !state )
        return;
    t->target = target_of(ctxt, state, &t->after);
    x86_emulate_free_state(state);
}

/* Chooses how the guest makes its next step.  May run several times an entry. */
void ttd_trace_prepare(struct ttd_session *s, struct cpu_user_regs *regs)
{
    struct ttd_trace *t = &s->trace;
    struct hvm_emulate_ctxt ctxt;
    struct x86_emulate_state *state;

    if ( s->state != TTD_STATE_RUNNING || s->held )
        return;
    if ( !tracing(s) )
    {
        if ( t->open )
            ttd_trace_close(s, TTD_WINDOW_REACHED);
        return;
    }
    if ( t->source != TTD_SOURCE_STEP )
    {
        if ( !t->open )
            open_window(s);
        return;
    }
    if ( regs->rflags & X86_EFLAGS_TF )
    {
        ttd_trace_close(s, TTD_WINDOW_STEPS);
        return;
    }
    if ( !t->open )
        open_window(s);

    t->target = 0;
    t->after.size = 0;
    t->code = (struct ttd_code){ .rip = regs->rip };
    if ( s->machine->get_injection(s->vcpu) & EVENT_VALID )
    {
        t->how = TTD_STEP_DELIVERY;
        return;
    }

    state = decode(&t->code, &ctxt, regs);
    if ( state )
    {
        t->target = target_of(&ctxt, state, &t->code);
        x86_emulate_free_state(state);
        if ( t->code.shadows )
            decode_after(t, &ctxt, regs);
    }
    if ( ctxt.ctxt.addr_size == 16 ||
         (ctxt.ctxt.addr_size != 64 && ctxt.seg_reg[x86_seg_cs].base) )
    {
        ttd_trace_close(s, TTD_WINDOW_SEGMENT);
        return;
    }
    t->how = t->target ? TTD_STEP_TARGET : TTD_STEP_TRAP;
}

/* Last before the entry. */
void ttd_trace_entry(struct ttd_session *s, struct cpu_user_regs *regs)
{
    struct ttd_trace *t = &s->trace;

    if ( t->source != TTD_SOURCE_STEP )
    {
        ttd_stack_entry(s);
        return;
    }
    t->rsp = regs->rsp;
    t->stepping = true;
    t->steps++;
    s->machine->step(s->vcpu, regs, t->how, t->target);
}

/* Whether an instruction follows another one in memory, or is it once more. */
static bool follows(const struct ttd_code *first, const struct ttd_code *then)
{
    uint64_t distance = then->rip - first->rip;

    if ( !distance )
        return !first->loops;

    return first->size ? distance == first->size : distance <= 15;
}

/* An instruction began. */
static void begun(struct ttd_session *s, const struct ttd_code *code)
{
    struct ttd_trace *t = &s->trace;
    struct ttd_branch *branch = &t->branch[t->nr];

    if ( t->have_last && !follows(&t->last, code) )
    {
        branch->from = t->last.rip;
        branch->to = code->rip;
        branch->instructions = t->instructions;
        branch->size = t->last.size;
        memcpy(branch->bytes, t->last.bytes, sizeof(branch->bytes));
        if ( ++t->nr == TTD_BRANCHES_MAX )
            ttd_trace_flush(s, TTD_WINDOW_GOES_ON);
    }
    t->last = *code;
    t->have_last = true;
    t->instructions++;
}

/* Whether the instruction at which the guest was entered began. */
static bool began(const struct ttd_session *s, enum ttd_stop stop,
                  const struct cpu_user_regs *regs)
{
    const struct ttd_trace *t = &s->trace;

    if ( t->how == TTD_STEP_DELIVERY )
        return false;
    if ( stop == TTD_STOP_STEP )
        return true;
    if ( stop == TTD_STOP_OTHER && s->event.asynchronous )
        return regs->rip != t->code.rip || regs->rsp != t->rsp;

    return t->code.begins;
}

/*
 * Whether the instruction after one with a shadow began too.  An exception and
 * a synchronous exit are at the instruction that makes them.
 */
static bool after_began(const struct ttd_session *s, enum ttd_stop stop,
                        const struct cpu_user_regs *regs)
{
    const struct ttd_trace *t = &s->trace;
    bool at_instruction = stop == TTD_STOP_FAULT ||
                          (stop == TTD_STOP_OTHER && !s->event.asynchronous);

    if ( at_instruction )
        return regs->rip == t->after.rip && t->after.begins;

    return regs->rip != t->after.rip && regs->rip != t->code.rip;
}

/* Whether the guest ran on where it was to stop. */
static bool is_lost(const struct ttd_session *s, enum ttd_stop stop,
                    const struct cpu_user_regs *regs)
{
    const struct ttd_trace *t = &s->trace;

    if ( stop == TTD_STOP_FAULT )
        return false;
    if ( t->how == TTD_STEP_TARGET )
        return regs->rip != t->target && regs->rip != t->code.rip &&
               !(t->after.size && regs->rip == t->after.rip);

    /* A delivery may need a page of Xen's; it can make no other exit. */
    return t->how == TTD_STEP_DELIVERY && stop == TTD_STOP_OTHER &&
           !s->event.asynchronous && s->event.kind != TTD_KIND_MEMORY;
}

/*
 * First at an exit, whose event is described already.  True: the exit is the
 * window's own, and its handler must not run.
 */
bool ttd_trace_exit(struct ttd_session *s, struct cpu_user_regs *regs)
{
    struct ttd_trace *t = &s->trace;
    bool is_after = t->after.size && regs->rip == t->after.rip;
    enum ttd_stop stop;

    if ( t->recording )
        ttd_stack_exit(s);
    if ( !t->stepping )
        return false;
    t->stepping = false;
    stop = s->machine->stepped(s->vcpu, regs, t->how,
                               is_after ? &t->after : &t->code);

    if ( stop != TTD_STOP_OTHER )
        s->event = (struct ttd_event){
            .asynchronous = true,
            .code = s->event.code,
            .shadow = s->event.shadow,
        };
    if ( began(s, stop, regs) )
    {
        begun(s, &t->code);
        if ( t->after.size && after_began(s, stop, regs) )
            begun(s, &t->after);
    }
    if ( is_lost(s, stop, regs) )
        ttd_trace_close(s, TTD_WINDOW_LOST);
    if ( t->limit && t->instructions >= t->limit )
        ttd_trace_close(s, TTD_WINDOW_LIMIT);

    return stop != TTD_STOP_OTHER;
}
