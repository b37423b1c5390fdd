/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface between the patched Xen and ttd-deviced: two rings of records a session, and one sysctl.
 * Freestanding: the hypervisor includes it as it is.
 *
 * A session records or replays one domain with one vCPU. Each session has two rings:
 *   out  hypervisor -> daemon: what the recording or the replay did. A replay's out ring is its own log; it has the
 *        same records as a recording's.
 *   in   daemon -> hypervisor, in a replay only: the recording's records, in their order, as the out ring had them.
 *        TTD_BREAK, TTD_BRANCHES, TTD_DIVERGED and TTD_CONSOLE records are not put there. TTD_END is the last one.
 *
 * The clock counts synchronous exits: exits that the guest's own instructions cause. An EXIT record's clock is the
 * number of synchronous exits before it. The clock of every other record is the number of synchronous exits before the
 * entry into the guest that the record belongs to; so records after EXIT n have clock n + 1.
 *
 * A ring is `pages` contiguous frames from `mfn` on; dom0 maps them through DOMID_XEN. The first page is a struct
 * ttd_ring, the other pages are `size` bytes of records. `produced` and `consumed` count bytes without wrapping; a byte's
 * place is its count modulo `size`. Records are a multiple of 8 bytes. A record never wraps: a PAD record fills the end.
 * The producer writes a record, then `produced` with release order. The consumer reads `produced` with acquire order,
 * uses the records, then writes `consumed`.
 */
#ifndef TTD_XEN_H
#define TTD_XEN_H

#ifdef __XEN__
#include <xen/types.h>
#else
#include <stdint.h>
#endif

#define TTD_VERSION 5u

/* Number of the sysctl command: struct xen_sysctl with this `cmd`, and struct ttd_op at the start of its union. */
#define TTD_SYSCTL 0x74746400u

/* Global virtual interrupt to dom0: a ring changed enough, or a session changed its state. */
#define TTD_VIRQ 14

struct ttd_ring {
    uint64_t produced, consumed;
    uint64_t held;    /* out: times that the guest waited for room; in: times that it waited for records */
    uint64_t lost;    /* records without room; a recording ends at the first one */
    uint32_t size;    /* bytes of records, a multiple of 4096 */
    uint32_t version; /* TTD_VERSION */
    uint32_t waiting; /* 1: the guest waits for the other side; after a change of the ring call TTD_OP_WAKE */
    uint32_t closed;  /* 1: the producer adds no more */
};

enum ttd_type {
    TTD_PAD = 0,          /* `size` and `type` only: 8 bytes or more to skip */
    TTD_EXIT = 1,         /* a synchronous exit and what it changed in the guest's registers */
    TTD_INTERRUPT = 2,    /* an external interrupt delivered at the entry. info: vector */
    TTD_GUEST_WRITE = 3,  /* Xen wrote guest memory while it handled the exit. info: guest physical address, of a PV guest
                             linear address; payload */
    TTD_SHARED_WRITE = 4, /* dom0 or Xen changed a tracked area. code: enum ttd_area; info: offset in it; payload */
    TTD_BREAK = 5,        /* the guest is paused at this clock, before the entry; TTD_OP_CONTINUE ends the pause */
    TTD_BRANCHES = 6,     /* a replay's branch window. payload: struct ttd_branch, taken transfers up to here, in their order.
                             info: instructions begun in the window. kind: enum ttd_window */
    TTD_END = 7,          /* the session recorded or replayed its last exit. info: enum ttd_end. out ring: closed after it */
    TTD_DIVERGED = 8,     /* a replay's first mismatch; the guest is paused. Fields: the replay's state; see ttd_divergence */
    TTD_CONSOLE = 9,      /* payload: what the guest wrote to its console since the last one. For people: not in the log */
    TTD_FOREIGN_READ = 10, /* another domain read memory that the guest grants: a frame to send, a block to write. info: guest
                              physical address; mask: bytes, inside one page; value: their digest */
};

/* ttd_record.flags: where between two synchronous exits the guest is. Neither: right after the synchronous exit. */
enum {
    TTD_AT_ASYNC = 1,  /* at an asynchronous exit: found by rip, hash and (with a counter) instructions */
    TTD_AT_WINDOW = 2, /* at the first point after the last entry where the guest can take an interrupt */
};

/* ttd_record.kind of an EXIT, the same for AMD and Intel; `info` by kind. `code` is the processor's exit code. */
enum ttd_kind {
    TTD_KIND_OTHER = 0,         /* info: 0 */
    TTD_KIND_RDTSC = 1,         /* info: 0 rdtsc, 1 rdtscp */
    TTD_KIND_CPUID = 2,         /* info: leaf (low half), subleaf (high half) */
    TTD_KIND_RDMSR = 3,         /* info: number */
    TTD_KIND_WRMSR = 4,         /* info: number */
    TTD_KIND_PORT_READ = 5,     /* info: port (low 16 bits), bytes << 16, string << 24 (in, ins) */
    TTD_KIND_PORT_WRITE = 6,    /* the same (out, outs) */
    TTD_KIND_MEMORY = 7,        /* nested page fault, so MMIO mostly. info: guest physical address */
    TTD_KIND_HYPERCALL = 8,     /* info: number */
    TTD_KIND_HALT = 9,          /* info: 0 */
    TTD_KIND_CONTROL_READ = 10, /* info: number of the control register */
    TTD_KIND_CONTROL_WRITE = 11,
    TTD_KIND_EXCEPTION = 12, /* info: vector */
    TTD_KIND_SHUTDOWN = 13,  /* triple fault */
};

/* The words of EXIT records: bit of `mask`, and order in the payload. A word is there only if the exit changed it. */
enum ttd_word {
    TTD_RAX, TTD_RCX, TTD_RDX, TTD_RBX, TTD_RSP, TTD_RBP, TTD_RSI, TTD_RDI,
    TTD_R8, TTD_R9, TTD_R10, TTD_R11, TTD_R12, TTD_R13, TTD_R14, TTD_R15,
    TTD_RIP,    /* as the difference to the exit's rip: mostly the instruction's length */
    TTD_RFLAGS,
    TTD_INJECTED, /* exception delivered at the entry, as in AMD's EVENTINJ: vector | type << 8 | has error code << 11 |
                     valid << 31 | error code << 32 */
    TTD_WORDS,
};

enum ttd_area {
    TTD_AREA_SHARED_INFO, /* struct shared_info: pending bits, wall clock */
    TTD_AREA_VCPU_INFO,   /* struct vcpu_info of vCPU 0: upcall pending, pvclock */
    TTD_AREA_CONSOLE,     /* the console's page: rings and indexes */
    TTD_AREA_XENSTORE,    /* xenstore's page: the same */
    TTD_AREA_GRANTS,      /* the guest's grant table, all frames in a row: status bits of version 1 */
    TTD_AREA_GRANT_STATUS, /* the status frames of version 2 */
    TTD_AREA_PAGES,       /* pages that the guest grants: what other domains wrote. info: guest physical address */
    TTD_AREAS,
};

struct ttd_record {
    uint32_t size; /* bytes with the payload and what rounds it up to a multiple of 8 */
    uint8_t type;  /* enum ttd_type */
    uint8_t flags;
    uint8_t kind; /* EXIT: enum ttd_kind */
    uint8_t reserved;
    uint64_t clock;
    uint64_t rip;          /* EXIT: of the instruction that exits; others: where the guest goes on */
    uint64_t instructions; /* guest instructions since the last synchronous exit; 0 without a counter */
    uint64_t info;         /* by type and kind */
    uint64_t value;        /* EXIT, for readers of the log only (a replay ignores it): what the guest gave or got. RDTSC,
                              RDMSR, WRMSR: edx:eax; PORT_*: the value, 0 if string; HYPERCALL: the result; CONTROL_WRITE of
                              cr3: its new value; others: 0.
                              FOREIGN_READ: a digest */
    uint32_t hash;         /* of the registers at rip, and of kind and info of an EXIT. A replay reads rip and hash of
                              EXITs and of records with AT_ flags only */
    uint32_t code;         /* EXIT: AMD's exit code, or TTD_CODE_VMX + Intel's basic reason, or TTD_CODE_PV + …, which a
                              replay reads for KIND_OTHER only; SHARED_WRITE: enum ttd_area */
    uint32_t mask;         /* EXIT: which words follow; DIVERGED: enum ttd_mismatch; FOREIGN_READ: bytes */
    uint32_t length;       /* bytes of payload in use */
    uint8_t payload[];
};

#define TTD_CODE_VMX 0x600u
#define TTD_CODE_PV 0x800u /* + the vector, or 0x100: a system call of a program of a PV guest */

/* A transfer between two instructions that began: the second one does not follow the first one in memory. */
struct ttd_branch {
    uint64_t from, to;
    uint64_t instructions; /* begun in the window before `to` */
    uint8_t size;          /* of the instruction at `from`; 0: not known */
    uint8_t bytes[15];     /* that instruction */
};

/* Where the transfers of a window come from. All but steps: only `from` and `to` are known, and gaps are possible. */
enum ttd_source {
    TTD_SOURCE_STEP = 0,
    TTD_SOURCE_LBR = 1, /* Intel's last branch records, AMD's LbrExtV2 */
    TTD_SOURCE_BTS = 2, /* Intel's branch trace store: not for guests with page tables of their own, so always refused */
    TTD_SOURCE_BRS = 3, /* AMD's branch sampling */
};

/* ttd_record.kind of BRANCHES. */
enum ttd_window {
    TTD_WINDOW_GOES_ON = 0,
    TTD_WINDOW_REACHED = 1, /* the others, but GAP, end the window. Its last clock was reached */
    TTD_WINDOW_LIMIT = 2,   /* the limit of instructions */
    TTD_WINDOW_ENDED = 3,   /* the replay ended or diverged */
    TTD_WINDOW_STEPS = 4,   /* the guest set the trap flag itself */
    TTD_WINDOW_SEGMENT = 5, /* code with a segment base, or 16-bit code */
    TTD_WINDOW_LOST = 6,    /* the guest did not stop where it was to: transfers are missing before this record */
    TTD_WINDOW_GAP = 7,     /* the window goes on; transfers may be missing between this record's and the next ones */
};

/* The longest payload of one record. Longer writes are several records. */
#define TTD_PAYLOAD_MAX 1024u

enum ttd_end {
    TTD_END_STOPPED = 0,   /* TTD_OP_STOP */
    TTD_END_SHUTDOWN = 1,  /* the guest shut itself down */
    TTD_END_COMPLETE = 2,  /* a replay used all its records */
    TTD_END_DESTROYED = 3, /* the domain was destroyed */
    TTD_END_NO_ROOM = 4,   /* the out ring was full where the guest could not wait */
    TTD_END_UNSUPPORTED = 5, /* the guest did something that a recording cannot hold; Xen's console says what */
};

enum ttd_mismatch {
    TTD_MISMATCH_EXIT = 1,     /* another exit, or another state at it */
    TTD_MISMATCH_MISSED = 2,   /* the guest is past the position of an asynchronous record */
    TTD_MISMATCH_HOT = 3,      /* the position of an asynchronous record was not found within the bound */
    TTD_MISMATCH_INPUT = 4,    /* a record of the in ring is damaged or does not fit here */
    TTD_MISMATCH_ENDED = 5,    /* the in ring was closed without an END */
    TTD_MISMATCH_SENT = 6,     /* what the guest sends differs; the FOREIGN_READ record before has the replay's digest */
};

/* Payload of DIVERGED. */
struct ttd_divergence {
    uint64_t clock, rip, instructions, info; /* of the record that was due */
    uint32_t hash, code;
    uint8_t type, flags, kind, reserved;
    uint32_t present;              /* words of `registers` in use: 18, up to TTD_RFLAGS, rip as an address */
    uint64_t registers[TTD_WORDS]; /* the replay's, in the order of enum ttd_word */
};

/* ------------------------------------------------------------------ sysctl */

enum ttd_operation {
    TTD_OP_RECORD = 1,   /* start; the domain must not have run yet, or runs on from here with a first full copy of the areas */
    TTD_OP_REPLAY = 2,   /* start; the domain must be fresh and paused, created as the recorded one was */
    TTD_OP_STATUS = 3,
    TTD_OP_WAKE = 4,     /* a ring that had `waiting` set has room or records again */
    TTD_OP_BREAK = 5,    /* set at and every */
    TTD_OP_CONTINUE = 6, /* leave a break */
    TTD_OP_DIGEST = 7,   /* digests of guest memory by page; the guest is paused by the session, by dom0, or shut down */
    TTD_OP_STOP = 8,     /* end; gives the last END record. The rings stay mapped and valid until TTD_OP_RELEASE */
    TTD_OP_RELEASE = 9,  /* forget a stopped session; the rings are used again by a later one. Unmap them first */
    TTD_OP_ATTACH = 10,  /* gives the rings of a session that is there: for a daemon that takes it over */
    TTD_OP_BRANCHES = 12, /* a replay's branch window; the guest must be paused, and its clock at most `from` */
};

/* struct ttd_op.start.options */
enum {
    TTD_OPTION_COUNT = 1,         /* positions have `instructions`: from the TSC under QEMU's -icount, see tsc_shift */
    TTD_OPTION_NO_SELF_IPI = 2,   /* do not work around QEMU's repeated injection: right on hardware */
    TTD_OPTION_COUNT_BRANCHES = 8, /* as COUNT, but `instructions` are retired branches, from the processor's counter */
    TTD_OPTION_COUNT_INSTRUCTIONS = 16, /* retired instructions, from the processor's counter */
    TTD_OPTION_SWITCHES = 32,     /* the guest exits when it writes cr3 (PVH; to a PV guest each change is a hypercall) */
    TTD_OPTION_VERIFY_LAZY = 4,   /* recording: check that the lazy copies of tracked areas miss no write (slow) */
};

/* Faults on purpose, for tests of a replay's check. One bit of the value is flipped, number `bit`, which counts from the
   lowest bit of the first byte. `at` counts from 0. */
enum ttd_fault {
    TTD_FAULT_NONE = 0,
    TTD_FAULT_WORD = 1,         /* EXIT number `at` of kind `detail`: the words after it; bit: 64 * enum ttd_word + bit */
    TTD_FAULT_GUEST_WRITE = 2,  /* GUEST_WRITE number `at`: its payload */
    TTD_FAULT_SHARED_WRITE = 3, /* SHARED_WRITE number `at` that covers this bit of area `detail` */
    TTD_FAULT_LOST = 4,         /* INTERRUPT number `at` is not delivered */
    TTD_FAULT_LATE = 5,         /* INTERRUPT number `at` comes one exit later */
    TTD_FAULT_VECTOR = 6,       /* INTERRUPT number `at` has another vector */
    TTD_FAULT_REGISTER = 7,     /* after exit with clock `at`: register `detail` (enum ttd_word up to TTD_R15) */
    TTD_FAULT_MEMORY = 8,       /* after exit with clock `at`: memory from guest physical address `detail` on */
    TTD_FAULT_PAGE = 9,         /* SHARED_WRITE number `at` into granted pages, of `detail` & 0xffffffff bytes or more: its
                                   payload. With bit 32 of `detail` the replay's log does not show it */
    TTD_FAULT_SENT = 10,        /* FOREIGN_READ number `at` of `detail` bytes: the guest's memory there, before it is compared */
};

enum ttd_state {
    TTD_STATE_NONE = 0, /* no session for this domain */
    TTD_STATE_RUNNING = 1,
    TTD_STATE_BREAK = 2,    /* paused at a clock */
    TTD_STATE_DIVERGED = 3, /* paused */
    TTD_STATE_ENDED = 4,    /* END was written. After TTD_END_COMPLETE the guest is paused */
};

struct ttd_page_digest {
    uint64_t gfn, hash; /* RAM pages only; the bytes of tracked areas count as zero, since dom0 changes them */
};

/* At most 128 bytes: the size of struct xen_sysctl's union. */
struct ttd_op {
    uint32_t operation;
    uint32_t version; /* TTD_VERSION; else EINVAL */
    uint32_t domain;
    uint32_t reserved;
    union {
        struct {
            uint32_t options;
            uint32_t out_pages, in_pages; /* wanted, 0: default (1 MiB each); gives: real */
            uint32_t defer_ms;            /* recording: how long asynchronous work may wait for an exit; 0: 3,000 */
            uint64_t break_at, break_every; /* clocks; 0: none. every: at each multiple */
            uint32_t fault, fault_bit; /* enum ttd_fault */
            uint64_t fault_detail, fault_at;
            uint32_t tsc_shift;    /* COUNT: -icount shift= of QEMU */
            uint32_t tsc_overhead; /* COUNT: TSC units of an empty round trip; 0: 148 << tsc_shift */
            uint64_t out_mfn, in_mfn; /* gives */
            uint32_t is_pv;           /* gives: 1 for a PV guest, which sees machine frames */
        } start;
        struct {
            uint32_t state, mode;     /* enum ttd_state; TTD_OP_RECORD or TTD_OP_REPLAY */
            uint32_t end, shutdown;   /* enum ttd_end; 1 | reason << 8: the domain has shut down */
            uint64_t clock, exits, interrupts, asynchronous; /* exits: all of them; asynchronous: records with AT_ASYNC */
            uint64_t guest_writes, shared_writes, deferrals, expired; /* expired: deferrals that reached the bound */
            uint64_t debug_exceptions, copies; /* copies of the tracked areas */
            uint64_t out_bytes;
            uint64_t records;
        } status;
        struct {
            uint64_t at, every;
        } brk;
        struct {
            uint64_t gfn;    /* first to look at; gives: the next call's first, ~0 when all is done */
            uint64_t buffer; /* address of struct ttd_page_digest in hypercall-safe memory */
            uint32_t limit;  /* elements of the buffer; at most 4,096 are used in one call */
            uint32_t count;  /* gives: elements filled */
        } digest;
        struct {
            uint64_t from, to; /* clocks: from the entry with this clock to the exit that makes the clock `to` */
            uint64_t limit;    /* instructions; 0: none. With STEP only */
            uint32_t source;   /* enum ttd_source; ENODEV: the processor does not have it */
        } branches;
        uint8_t room[112];
    };
};

#endif /* TTD_XEN_H */
