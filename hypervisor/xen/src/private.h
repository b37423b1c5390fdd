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
 *   record.c     recording
 *   replay.c     replaying
 *   position.c   asynchronous positions
 *   digest.c     digests of guest memory
 *   fault.c      divergences made on purpose
 *   svm.c vmx.c  the processor
 */
#ifndef TTD_PRIVATE_H
#define TTD_PRIVATE_H

#include <xen/lib.h>
#include <xen/list.h>
#include <xen/mm.h>
#include <xen/sched.h>
#include <asm/hvm/ttd.h>

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
    uint32_t code;
    uint64_t info;
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
};

extern const struct ttd_machine ttd_svm, ttd_vmx;

struct ttd_pipe {
    struct ttd_ring *ring;      /* shared with dom0 */
    uint8_t *records;
    unsigned int order;
    uint32_t size;
    uint64_t at;                /* our own end of the ring: dom0's copy is a hint */
    uint64_t notified;          /* out: `at` when dom0 was last notified */
};

struct ttd_tracked {
    void *mapping;              /* NULL: not there */
    struct page_info *page;     /* with a reference of ours, or NULL */
    unsigned int size;
    uint8_t copy[PAGE_SIZE] __aligned(8);  /* as the guest left it */
};

#define TTD_EARLY_WRITES 64

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
    struct ttd_registers before;
    bool open;                  /* it is synchronous and its results are not taken */
    bool skipped;               /* replay: its handler did not run */
    bool again;                 /* replay: a hypercall was preempted and comes again */
    struct ttd_registers first; /* ... and the state at its first exit */
    uint32_t hash;              /* of the state in which the guest is entered */
    uint64_t rip;

    uint64_t clock;
    uint64_t instructions;      /* since the last synchronous exit */
    unsigned int tsc_shift, tsc_overhead;
    bool no_progress;           /* the last entry ran no instruction */

    /* Recording. */
    bool window;                /* the guest was entered with an open window */
    s_time_t deferred_since, defer_max;
    struct {
        uint64_t gpa;
        uint32_t size;
        uint8_t bytes[192];
    } early[TTD_EARLY_WRITES];  /* by the open exit's handler */
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
    struct ttd_tracked area[TTD_AREAS];
    uint8_t (*verify)[PAGE_SIZE];   /* TTD_OPTION_VERIFY_LAZY */
    uint32_t console_at;        /* index of the console's next byte for the daemon */

    uint64_t break_at, break_every, broke_at;

    struct {
        enum ttd_fault kind;
        uint64_t detail, at;
        uint32_t bit;
        uint64_t late;          /* an interrupt that is held back */
    } fault;

    struct {
        uint64_t exits, interrupts, asynchronous, guest_writes, shared_writes,
            deferrals, expired, debug_exceptions, copies, bytes, records;
    } count;
};

/* session.c */
void ttd_end(struct ttd_session *s, enum ttd_end why);
void ttd_hold(struct ttd_session *s);

/* hooks.c */
bool ttd_breaks_at(const struct ttd_session *s, uint64_t clock);
void ttd_take_break(struct ttd_session *s);

/* ring.c */
int ttd_pipe_open(struct ttd_pipe *pipe, unsigned int pages);
void ttd_pipe_close(struct ttd_pipe *pipe);
bool ttd_pipe_low(const struct ttd_pipe *pipe);
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

/* tracked.c */
int ttd_track(struct ttd_session *s);
void ttd_untrack(struct ttd_session *s);
void ttd_follow_vcpu_info(struct ttd_session *s);
void ttd_copy_areas(struct ttd_session *s);
void ttd_undo_writes(struct ttd_session *s);
void ttd_verify_begin(struct ttd_session *s);
void ttd_verify_end(struct ttd_session *s);
void ttd_blank_tracked(const struct ttd_session *s, mfn_t mfn, uint8_t *page);

/* console.c */
void ttd_console_track(struct ttd_session *s);
void ttd_console_put(struct ttd_session *s, bool all);

/* record.c */
void ttd_record_exit(struct ttd_session *s);
void ttd_close_exit(struct ttd_session *s, const struct ttd_registers *after);
void ttd_record_result(struct ttd_session *s, const struct cpu_user_regs *regs);
void ttd_record_before_entry(struct ttd_session *s,
                             const struct cpu_user_regs *regs);
void ttd_record_entry(struct ttd_session *s, const struct cpu_user_regs *regs);

/* replay.c */
bool ttd_replay_exit(struct ttd_session *s, const struct cpu_user_regs *regs);
void ttd_replay_before_entry(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_replay_entry(struct ttd_session *s);
void ttd_diverged(struct ttd_session *s, enum ttd_mismatch why);

/* position.c */
bool ttd_reached(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_disarm(struct ttd_session *s, struct cpu_user_regs *regs);
void ttd_count(struct ttd_session *s);
void ttd_steer(struct ttd_session *s);

/* digest.c */
int ttd_digest(struct ttd_session *s, struct ttd_op *op);

/* fault.c */
void ttd_fault_exit(struct ttd_session *s, struct ttd_registers *after);
bool ttd_fault_record(struct ttd_session *s);

#endif /* TTD_PRIVATE_H */
