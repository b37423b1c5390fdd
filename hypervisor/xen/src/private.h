/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recording and replaying: what its files have in common.
 *
 *   session.c    sessions, sysctl
 *   hooks.c      what the rest of Xen calls
 *   ring.c       the rings shared with dom0
 *   state.c      registers and their hash
 *   console.c    what the guest wrote to its console
 *   tracked.c    the areas that dom0 and Xen write while the guest runs
 *   granted.c    the pages that other domains write, and the grant table
 *   sent.c       the pages that other domains read
 *   record.c     recording
 *   replay.c     replaying
 *   position.c   asynchronous positions
 *   counter.c    counters of the guest's progress
 *   branches.c   branch windows
 *   lbr.c        branch windows from the processor's own records; stack.h
 *   digest.c     digests of guest memory
 *   fault.c      divergences made on purpose
 *   svm.c vmx.c  the processor
 *   pv.c         PV guests, in place of the processor
 *   pv_digest.c  digests of their memory
 */
#ifndef TTD_PRIVATE_H
#define TTD_PRIVATE_H

#include <xen/lib.h>
#include <xen/list.h>
#include <xen/mm.h>
#include <xen/sched.h>
#include <asm/hvm/ttd.h>
#include "stack.h"

/* Registers that an exit may change, in the order of enum ttd_word. */
struct ttd_registers {
    uint64_t word[TTD_WORDS];
};

/* An exit in the words of all vendors. */
struct ttd_event {
    bool asynchronous;  /* not caused by the guest's own instructions */
    bool window;        /* the guest can take an interrupt: a window closed */
    bool breakpoint;    /* a debug exception */
    bool may_write;     /* its handler may write a tracked area */
    bool shadow;        /* the next instruction takes no interrupt */
    uint8_t kind;       /* enum ttd_kind */
    uint8_t past;       /* bytes from the instruction to the exit's rip */
    uint8_t frame;      /* 1 + enum ttd_word of a register with a machine address: its frame is not hashed; 0: none */
    uint32_t code;
    uint64_t info;
};

/* An instruction in a branch window. */
struct ttd_code {
    uint64_t rip;
    bool begins;        /* its bytes can be fetched */
    bool loops;         /* a branch that may go to itself */
    bool shadows;       /* a debug trap after it waits for the next one */
    uint8_t size;       /* 0: not known */
    uint8_t bytes[15];
};

/* How a guest is made to exit after one instruction. */
enum ttd_step {
    TTD_STEP_TRAP,      /* a trap after the instruction */
    TTD_STEP_TARGET,    /* a breakpoint where the instruction goes to */
    TTD_STEP_DELIVERY,  /* an event is delivered: before its handler */
};

/* What an exit is for a branch window. */
enum ttd_stop {
    TTD_STOP_OTHER,     /* it is not the window's */
    TTD_STOP_STEP,      /* after a step */
    TTD_STOP_FAULT,     /* an exception, which is delivered at the next entry */
};

/* What differs between processors. */
struct ttd_machine {
    void (*describe)(struct vcpu *v, const struct cpu_user_regs *regs,
                     struct ttd_event *event);
    /* The event to deliver at the next entry, in the format of TTD_INJECTED. */
    uint64_t (*get_injection)(const struct vcpu *v);
    void (*set_injection)(struct vcpu *v, uint64_t event);
    /* Exit at the first point where the guest can take an interrupt. */
    void (*open_window)(struct vcpu *v);
    bool (*window_is_open)(const struct vcpu *v);
    /* An instruction was completed without its handler. */
    void (*end_shadow)(struct vcpu *v);
    /* Exit before the instruction at rip; 0: no longer. */
    void (*set_breakpoint)(struct vcpu *v, struct cpu_user_regs *regs,
                           unsigned long rip);
    /* ttd_exit() returned true: keep what the processor had left to do. */
    void (*skip)(struct vcpu *v);
    /* Count in guest mode only, or no longer; NULL: the processor can. */
    int (*count)(struct vcpu *v, bool on);
    /*
     * Keep records of the guest's branches, or no longer; NULL: the registers
     * of lbr.c are enough.
     */
    int (*records)(struct vcpu *v, bool on);
    /* Exit at writes of cr3, or no longer; NULL: each is a hypercall. */
    void (*switches)(struct vcpu *v, bool on);
    /* Begin or end a branch window. */
    void (*trace)(struct vcpu *v, bool on);
    /* Last before an entry in a branch window. */
    void (*step)(struct vcpu *v, struct cpu_user_regs *regs, enum ttd_step how,
                 unsigned long target);
    /* First at its exit: undoes what step() did. */
    enum ttd_stop (*stepped)(struct vcpu *v, struct cpu_user_regs *regs,
                             enum ttd_step how, const struct ttd_code *code);
};

extern const struct ttd_machine ttd_svm, ttd_vmx, ttd_pv;

struct ttd_pipe {
    struct ttd_ring *ring;      /* shared with dom0 */
    uint8_t *records;
    unsigned int order;
    uint32_t size;
    uint64_t at;                /* our own end of the ring: dom0's copy is a hint */
    uint64_t notified;          /* out: `at` when dom0 was last notified */
    uint64_t roomy;             /* out: up to this `at` there is room enough */
};

struct ttd_tracked {
    void *mapping;              /* NULL: not there */
    struct page_info *page;     /* with a reference of ours, or NULL */
    unsigned int size;
    uint8_t copy[PAGE_SIZE] __aligned(8);  /* as the guest left it */
};

/* Areas of at most one page: all before the grant table. */
#define TTD_PAGE_AREAS TTD_AREA_GRANTS

/* Pages that other domains can write, and frames of a grant table, at most. */
#define TTD_PAGES_MAX  8192
#define TTD_FRAMES     64

struct ttd_frame {
    void *mapping;              /* NULL: not there */
    uint8_t *copy;              /* as the guest left it */
};

struct ttd_granted {
    spinlock_t lock;            /* of the lists, against other writers of them */
    struct list_head pages[256];    /* struct ttd_page, by frame number */
    unsigned int nr_pages;
    bool copied;                /* the pages, since the last exit: others ran */
    const char *failed;         /* why the recording cannot go on */
    struct ttd_frame frame[2][TTD_FRAMES]; /* the table, and its status frames */
    struct list_head sent;      /* struct ttd_sent: not recorded yet */
    unsigned int nr_sent;
};

#define TTD_EARLY_WRITES 64

/* What Xen wrote to the guest's memory, until its record's turn comes. */
struct ttd_early {
    uint64_t gpa;
    uint32_t size;
    uint8_t bytes[192];
};

#define TTD_BRANCHES_MAX (TTD_PAYLOAD_MAX / sizeof(struct ttd_branch))

/* A branch window; see branches.c. */
struct ttd_trace {
    uint64_t from, to, limit;
    bool wanted;                /* it is not over */
    bool open;
    enum ttd_source source;
    struct ttd_stack stack;     /* unless the source is steps */
    bool recording;             /* the guest was entered with cleared records */
    bool stepping;              /* the guest was entered for one step */
    enum ttd_step how;
    unsigned long target, rsp;
    struct ttd_code code, after; /* the instruction of this step, and the next */
    struct ttd_code last;       /* the last one that began */
    bool have_last;
    uint64_t instructions;      /* begun */
    uint64_t steps;             /* entries */
    unsigned int nr;
    struct ttd_branch branch[TTD_BRANCHES_MAX];
    struct {
        uint32_t exceptions;
        uint64_t dr6;
    } saved;                    /* by the processor's trace() */
};

struct ttd_session {
    struct list_head list;
    domid_t domain_id;
    struct domain *domain;      /* NULL when it is gone */
    struct vcpu *vcpu;          /* NULL when the session ended */
    const struct ttd_machine *machine;
    enum ttd_state state;
    bool replaying;
    enum ttd_end end;
    uint32_t options;

    struct ttd_pipe out, in;
    bool held;                  /* the vCPU is paused until a ring changes */
    bool in_break;              /* the vCPU is paused until TTD_OP_CONTINUE */

    /* The last exit. */
    struct ttd_event event;
    struct ttd_registers before; /* once it is closed: the state in which the guest is entered */
    bool open;                  /* it is synchronous and its results are not taken */
    bool skipped;               /* replay: its handler did not run */
    bool again;                 /* replay: a hypercall was preempted and comes again */
    struct ttd_registers first; /* ... and the state at its first exit */
    uint32_t hash;              /* of the state in which the guest is entered; see ttd_entered_hash() */
    bool hash_is_due;           /* it is not computed yet, from `before` */
    uint64_t rip;

    uint64_t clock;
    uint64_t instructions;      /* since the last synchronous exit */
    unsigned int tsc_shift, tsc_overhead;
    bool no_progress;           /* the last entry ran no instruction */
    struct {
        uint64_t select;        /* what the processor's counter counts; 0: none */
        uint64_t at;            /* its value at the last entry */
    } counter;

    /* Recording. */
    bool window;                /* the guest was entered with an open window */
    s_time_t deferred_since, defer_max;
    struct ttd_early early[TTD_EARLY_WRITES];   /* by the open exit's handler */
    unsigned int nr_early;

    /* Replaying: the record that is due. */
    union {
        struct ttd_record due;
        uint8_t due_bytes[sizeof(struct ttd_record) + TTD_PAYLOAD_MAX];
    };
    bool have_due;
    bool armed;                 /* a breakpoint is set */
    unsigned int hits;          /* debug exceptions since the last record */
    uint64_t left;              /* instructions to an asynchronous position */
    unsigned long shadow_rip;   /* the last asynchronous exit was in a shadow */

    /* Tracked areas. */
    bool copied;                /* since the last exit */
    struct ttd_tracked area[TTD_PAGE_AREAS];
    struct ttd_granted granted;
    uint8_t (*verify)[PAGE_SIZE];   /* TTD_OPTION_VERIFY_LAZY */
    uint32_t console_at;        /* index of the console's next byte for the daemon */

    struct ttd_trace trace;

    bool acted;                 /* others ran since the last exit */
    struct {
        bool hooked;            /* the exit came through ttd_pv_exit() */
        bool entered;           /* the guest runs, or ran until an exit that had no hook */
        bool upcall;            /* due at this entry */
    } pv;

    uint64_t break_at, break_every, broke_at;

    struct {
        enum ttd_fault kind;
        uint64_t detail, at;
        uint32_t bit;
        uint64_t late;          /* an interrupt that is held back */
        bool hidden;            /* the due record has it, the log does not get it */
    } fault;

    struct {
        uint64_t exits, interrupts, asynchronous, guest_writes, shared_writes,
            deferrals, expired, debug_exceptions, copies, bytes, records;
    } count;
};

/* The options that give positions a count. */
#define TTD_COUNTS (TTD_OPTION_COUNT | TTD_OPTION_COUNT_BRANCHES | \
                    TTD_OPTION_COUNT_INSTRUCTIONS)

/* The session of a vCPU, if it has one. */
static inline struct ttd_session *ttd_of(const struct vcpu *v)
{
    return is_pv_vcpu(v) ? v->arch.pv.ttd : v->arch.hvm.ttd;
}

/* session.c */
void ttd_end(struct ttd_session *s, enum ttd_end why);
void ttd_hold(struct ttd_session *s);

/* hooks.c */
bool ttd_breaks_at(const struct ttd_session *s, uint64_t clock);
void ttd_take_break(struct ttd_session *s);
bool ttd_running(const struct ttd_session *s);
bool ttd_may_wait(struct ttd_session *s);
void ttd_control_flow(struct ttd_session *s);

/* ring.c */
int ttd_pipe_open(struct ttd_pipe *pipe, unsigned int pages);
void ttd_pipe_close(struct ttd_pipe *pipe);
bool ttd_pipe_low(struct ttd_pipe *pipe);
struct ttd_record *ttd_place(struct ttd_session *s, uint32_t length);
void ttd_placed(struct ttd_session *s, struct ttd_record *record,
                uint32_t length);
bool ttd_put(struct ttd_session *s, const struct ttd_record *record,
             const void *payload);
int ttd_get(struct ttd_session *s);
void ttd_notify(struct ttd_session *s);

/* state.c */
void ttd_read_registers(struct ttd_registers *to,
                        const struct cpu_user_regs *regs);
void ttd_write_registers(const struct ttd_registers *from,
                         struct cpu_user_regs *regs);
uint32_t ttd_hash(const struct ttd_registers *regs,
                  const struct ttd_event *event);
void ttd_new_record(struct ttd_session *s, struct ttd_record *record,
                    enum ttd_type type);
void ttd_take_position(struct ttd_session *s);
uint32_t ttd_entered_hash(struct ttd_session *s);
uint64_t ttd_first_argument(const struct ttd_session *s,
                            const struct cpu_user_regs *regs);

/* tracked.c */
int ttd_track(struct ttd_session *s);
void ttd_map_area(struct ttd_session *s, enum ttd_area which,
                  unsigned long frame);
void ttd_untrack(struct ttd_session *s);
void ttd_follow_vcpu_info(struct ttd_session *s);
void ttd_copy_areas(struct ttd_session *s);
void ttd_undo_writes(struct ttd_session *s);
void ttd_verify_begin(struct ttd_session *s);
void ttd_verify_end(struct ttd_session *s);
void ttd_blank_tracked(const struct ttd_session *s, mfn_t mfn, uint8_t *page);

/* granted.c */
void ttd_granted_init(struct ttd_session *s);
void ttd_untrack_granted(struct ttd_session *s);
struct ttd_session *ttd_recording_of(const struct domain *d);
bool ttd_is_written_by_others(struct ttd_session *s,
                              const struct page_info *page);
void ttd_copy_granted(struct ttd_session *s);
void ttd_record_granted(struct ttd_session *s,
                        const struct cpu_user_regs *regs);
void ttd_verify_granted_begin(struct ttd_session *s);
void ttd_verify_granted_end(const struct ttd_session *s);
bool ttd_uses_foreign_pages(const struct ttd_session *s,
                            const struct cpu_user_regs *regs);
void ttd_follow_frames(struct ttd_session *s);
void ttd_copy_frames(struct ttd_session *s);
void ttd_undo_frames(struct ttd_session *s);
void ttd_record_frames(struct ttd_session *s);
bool ttd_write_frame(struct ttd_session *s);
void ttd_settle_granted(struct ttd_session *s, mfn_t mfn, uint8_t *page);

/* sent.c */
bool ttd_record_sent(struct ttd_session *s, const struct cpu_user_regs *regs);
bool ttd_compare_sent(struct ttd_session *s);
void ttd_forget_sent(struct ttd_session *s);

/* pv.c */
void ttd_pv_track(struct ttd_session *s);
void ttd_pv_settle(struct ttd_session *s);
void ttd_pv_skip(struct ttd_session *s, const struct cpu_user_regs *regs);
bool ttd_pv_write(uint64_t address, const void *from, unsigned int size);
bool ttd_pv_read(void *to, uint64_t address, unsigned int size);

/* console.c */
void ttd_console_track(struct ttd_session *s);
void ttd_console_put(struct ttd_session *s, bool all);

/* record.c */
void ttd_record_changes(struct ttd_session *s, enum ttd_area which,
                        uint64_t place, const uint8_t *now,
                        const uint8_t *then, unsigned int size,
                        unsigned int gap);
void ttd_record_exit(struct ttd_session *s);
void ttd_close_exit(struct ttd_session *s, const struct cpu_user_regs *regs,
                    uint64_t injected);
void ttd_record_result(struct ttd_session *s, const struct cpu_user_regs *regs);
void ttd_record_early(struct ttd_session *s);
void ttd_record_before_entry(struct ttd_session *s,
                             const struct cpu_user_regs *regs);
void ttd_record_entry(struct ttd_session *s, const struct cpu_user_regs *regs,
                      uint64_t injected);

/* replay.c */
bool ttd_replay_exit(struct ttd_session *s, const struct cpu_user_regs *regs);
void ttd_replay_before_entry(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_replay_entry(struct ttd_session *s);
void ttd_diverged(struct ttd_session *s, enum ttd_mismatch why);

/* position.c */
bool ttd_reached(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_disarm(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_steer(struct ttd_session *s);

/* counter.c */
bool ttd_counting(const struct ttd_session *s);
int ttd_counter_begin(struct ttd_session *s);
void ttd_counter_end(struct ttd_session *s);
void ttd_counter_entry(struct ttd_session *s);
void ttd_count(struct ttd_session *s);
s_time_t ttd_counter_time(const struct ttd_session *s, uint64_t units);

/* branches.c */
int ttd_trace_want(struct ttd_session *s, const struct ttd_op *op);
bool ttd_stepping(const struct ttd_session *s);
void ttd_trace_prepare(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_trace_entry(struct ttd_session *s, struct cpu_user_regs *regs);
bool ttd_trace_exit(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_trace_flush(struct ttd_session *s, enum ttd_window kind);
void ttd_trace_close(struct ttd_session *s, enum ttd_window why);
void ttd_trace_add(struct ttd_session *s, uint64_t from, uint64_t to);
void ttd_trace_gap(struct ttd_session *s);

/* lbr.c */
#define MSR_ARCH_LBR_CTL 0x14ce
bool ttd_stack_find(enum ttd_source source, struct ttd_stack *stack);
int ttd_stack_begin(struct ttd_session *s);
void ttd_stack_end(struct ttd_session *s);
void ttd_stack_entry(struct ttd_session *s);
void ttd_stack_exit(struct ttd_session *s);

/* digest.c */
int ttd_digest(struct ttd_session *s, struct ttd_op *op);
uint64_t ttd_digest_page(struct ttd_session *s, mfn_t mfn, void *buffer);
uint64_t ttd_hash_memory(const void *memory, unsigned int size);

/* pv_digest.c */
int ttd_pv_digest(struct ttd_session *s, struct ttd_op *op);
void ttd_pv_translate(const struct ttd_session *s, uint64_t *page);

/* fault.c */
void ttd_fault_exit(struct ttd_session *s, struct ttd_registers *after);
bool ttd_fault_record(struct ttd_session *s);
void ttd_fault_hide(struct ttd_session *s);
void ttd_fault_sent(struct ttd_session *s);

#endif /* TTD_PRIVATE_H */
