/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog.h - the on-disk layout of a trace log (ttd.log, version 1).
 *
 * This header is normative: if another text disagrees with it, this header is right. It is freestanding (it needs only
 * <stdint.h>), so that a hypervisor can include it. docs/log-format.md explains it.
 *
 * A log is append-only and little-endian:
 *
 *     file header (4096 bytes, immutable)
 *     chunk, chunk, ...                      each 64-byte aligned: 192-byte header + body + zero padding
 *     directory chunk, trailer (64 bytes)    written after every 4096 chunks or so, and at a clean close
 *     [meta chunk ..., directory chunk, trailer]   appended after the run, any number of times
 *
 * During the run, the chunks that are not sealed yet are in a second file, "<log>.open"
 * (see "The open file" below).
 */
#ifndef TTLOG_H
#define TTLOG_H

#include <stdint.h>

#if defined(__cplusplus)
#define TTLOG_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define TTLOG_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* ------------------------------------------------------------------------------------------------ file header */

#define TTLOG_VERSION 1u
#define TTLOG_FILE_HEADER_SIZE 4096u
#define TTLOG_CHUNK_ALIGNMENT 64u

/* The first eight bytes of a log: 0x89 "TTD" CR LF 0x1a LF. A transfer in text mode damages them visibly. */
#define TTLOG_FILE_MAGIC 0x0a1a0a0d44545489ull
/* The first eight bytes of an open file: 0x89 "TTO" CR LF 0x1a LF. */
#define TTLOG_OPEN_MAGIC 0x0a1a0a0d4f545489ull
/* "TTCK": the first four bytes of a chunk header. */
#define TTLOG_CHUNK_MAGIC 0x4b435454u
/* "TTEND\0\0\1": the first eight bytes of a trailer. */
#define TTLOG_TRAILER_MAGIC 0x010000444e455454ull

enum ttlog_run_kind {
    TTLOG_RUN_UNKNOWN = 0,
    TTLOG_RUN_RECORDING = 1,
    TTLOG_RUN_REPLAY = 2,
    TTLOG_RUN_PLAIN = 3, /* neither recorded nor replayed: the recorder only observed */
};

/* What positions count. Two logs are comparable only if they count the same. */
enum ttlog_clock {
    TTLOG_CLOCK_TRANSITIONS = 1,         /* every transition between instructions that began executing (brctr) */
    TTLOG_CLOCK_RETIRED_BRANCHES = 2,    /* a hardware counter of retired branches */
    TTLOG_CLOCK_SYNCHRONOUS_ENTRIES = 3, /* entries into the hypervisor that the guest itself caused */
    TTLOG_CLOCK_INSTRUCTIONS = 4,        /* retired instructions */
};

enum ttlog_recorder {
    TTLOG_RECORDER_UNKNOWN = 0,
    TTLOG_RECORDER_QEMU = 1, /* recorder_generation: the plugin API level (1 in QEMU 7.2, 4 in 10.0) */
    TTLOG_RECORDER_XEN = 2,
    TTLOG_RECORDER_SYNTHETIC = 3, /* a tool: tests, imports */
};

enum ttlog_mode {
    TTLOG_MODE_BRANCHES = 0, /* all streams, all bodies */
    TTLOG_MODE_DIGEST = 1,   /* sealed branch bodies are elided; their digests and the last cells stay */
    TTLOG_MODE_EVENTS = 2,   /* no branch stream; the clock still counts branches */
};

/* The features of the recorder, as bits of ttlog_file_header.features. */
#define TTLOG_FEATURE_BRANCHES (1ull << 0)        /* there is a branch stream */
#define TTLOG_FEATURE_ICOUNT (1ull << 1)          /* positions carry instruction counts */
#define TTLOG_FEATURE_LABELS (1ull << 2)          /* branch labels come from instruction bytes */
#define TTLOG_FEATURE_CAUSES (1ull << 3)          /* interrupts and exceptions are events, exact, from the recorder */
#define TTLOG_FEATURE_RCX (1ull << 4)             /* event positions carry rcx */
#define TTLOG_FEATURE_ACCESSES (1ull << 5)        /* rdtsc, port I/O, cpuid, msr sites are in the access stream */
#define TTLOG_FEATURE_MMIO (1ull << 6)            /* MMIO accesses are in the access stream */
#define TTLOG_FEATURE_ACCESS_VALUES (1ull << 7)   /* accesses and exits carry the values read and written */
#define TTLOG_FEATURE_MMIO_VALUES (1ull << 8)     /* MMIO accesses carry the values read and written */
#define TTLOG_FEATURE_CONTEXT (1ull << 9)         /* context events */
#define TTLOG_FEATURE_STATE (1ull << 10)          /* state events: register digests */
#define TTLOG_FEATURE_STATE_MEMORY (1ull << 11)   /* state events: guest-memory digests */
#define TTLOG_FEATURE_WINDOWS (1ull << 12)        /* bodies were kept only inside windows */
#define TTLOG_FEATURE_ENGINE_INPUT (1ull << 13)   /* what the engine's own log of input holds is in the event stream */
#define TTLOG_FEATURE_RAM (1ull << 14)            /* instructions' accesses to RAM are in the access stream */
#define TTLOG_FEATURE_RAM_VALUES (1ull << 15)     /* accesses to RAM carry the values read and written */

struct ttlog_file_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_crc; /* CRC32C of all 4096 bytes, this field taken as zero */
    uint32_t header_size;
    uint16_t machine; /* ELF e_machine of the guest: 62 = x86-64; 0 = unknown */
    uint8_t run_kind; /* enum ttlog_run_kind */
    uint8_t clock;    /* enum ttlog_clock */
    uint64_t nonce;   /* random; repeated in every chunk of this log */
    uint8_t recording_uuid[16]; /* of the recording; a replay repeats its recording's; all zero = unknown */
    uint64_t features;          /* TTLOG_FEATURE_* */
    uint16_t vcpu_count;        /* 1 ... TTLOG_VCPU_MAX */
    uint8_t mode;               /* enum ttlog_mode */
    uint8_t branch_cell_shift;  /* branch cell = clock >> this; 16 in logs of our recorders */
    uint8_t event_cell_shift;   /* event and access cell = clock >> this */
    uint8_t reserved0[3];
    uint32_t branch_chunk_max; /* most branches in a chunk: 1 << branch_cell_shift, at most TTLOG_BRANCH_CHUNK_LIMIT */
    uint32_t event_chunk_max;  /* most events in a chunk */
    uint32_t access_chunk_max; /* most accesses in a chunk */
    uint16_t recorder;         /* enum ttlog_recorder */
    uint16_t recorder_generation;
    uint64_t clock_base;      /* clock at which the log begins (not 0 when it starts from a checkpoint), vCPU 0 */
    uint64_t icount_base;     /* the same for the instruction count */
    uint64_t created_unix_ns; /* host time; never compared */
    char recorder_name[64];   /* UTF-8, NUL-padded: "qemu 7.2.22, ttd plugin 0.1" */
    uint8_t reserved1[TTLOG_FILE_HEADER_SIZE - 168];
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_file_header) == TTLOG_FILE_HEADER_SIZE, "file header is 4096 bytes");

#define TTLOG_VCPU_MAX 256u
#define TTLOG_VCPU_NONE 0xffffu /* the vcpu of meta and directory chunks */
#define TTLOG_BRANCH_CHUNK_LIMIT 65536u
#define TTLOG_EVENT_CHUNK_LIMIT 16384u

/* ------------------------------------------------------------------------------------------------------ chunks */

enum ttlog_stream {
    TTLOG_STREAM_BRANCH = 1,
    TTLOG_STREAM_EVENT = 2,
    TTLOG_STREAM_ACCESS = 3,
    TTLOG_STREAM_META = 4,      /* one per log, vcpu = TTLOG_VCPU_NONE, never compared */
    TTLOG_STREAM_DIRECTORY = 5, /* body, always RAW: chunk headers, verbatim, in file order, no directory's */
};

enum ttlog_codec {
    TTLOG_CODEC_RAW = 0,
    TTLOG_CODEC_ZSTD = 1, /* zstd frames, one after the other */
};

#define TTLOG_CHUNK_ELIDED (1u << 0)       /* the body was left out: stored_size = 0, digests describe it */
#define TTLOG_CHUNK_PARTIAL_HEAD (1u << 1) /* the log or the epoch began inside this cell */
#define TTLOG_CHUNK_PARTIAL_TAIL (1u << 2) /* the log or the epoch ended inside this cell */
#define TTLOG_CHUNK_RECOVERED (1u << 3)    /* sealed from an open file after the recorder died */
#define TTLOG_CHUNK_GAP_BEFORE (1u << 4)   /* first chunk of its stream in an epoch > 0 */
#define TTLOG_CHUNK_WINDOW (1u << 5)       /* the body of a chunk that the log also contains elided */

/* The classes of columns. Each class has a hash of its own. */
enum ttlog_class {
    TTLOG_CLASS_PATH = 0,     /* branch: from, to */
    TTLOG_CLASS_LABEL = 1,    /* branch: label */
    TTLOG_CLASS_POSITION = 2, /* branch: icount step; event: kind, validity, clock, icount, ip */
    TTLOG_CLASS_PAYLOAD = 3,  /* event: info, aux, compared payload */
    TTLOG_CLASS_COUNT = 4,
};

#define TTLOG_CHUNK_HEADER_SIZE 192u
/* A reader refuses a body larger than this, before or after decompression. */
#define TTLOG_BODY_MAX (64u << 20)

struct ttlog_chunk_header {
    uint32_t magic;
    uint32_t header_crc; /* CRC32C of the 192 bytes, this field taken as zero */
    uint64_t nonce;      /* the log's */
    uint64_t offset;     /* of this header in the file */
    uint32_t raw_size;   /* bytes of the body before compression */
    uint32_t stored_size; /* bytes of the body in the file; the next chunk begins at the next multiple of 64 */
    uint8_t stream;       /* enum ttlog_stream */
    uint8_t codec;        /* enum ttlog_codec */
    uint16_t vcpu;
    uint32_t flags; /* TTLOG_CHUNK_* */
    uint32_t epoch; /* 0, then one more after each gap of this vCPU */
    uint32_t part;  /* 0, 1, ...: chunks of one cell of one stream and epoch */
    uint64_t cell;
    uint32_t count;             /* records */
    uint32_t private_size;      /* bytes at the end of the raw body that are private (in no digest) */
    uint64_t first_ordinal;     /* number of records of this stream and vCPU before this chunk */
    uint64_t clock_first;       /* of the first record */
    uint64_t clock_last;        /* of the last record */
    uint64_t icount_first;      /* of the first record that has one, else 0 */
    uint64_t icount_last;
    uint64_t ticket;            /* order ticket of the first record (events) or at sealing (branches); never compared */
    uint64_t body_hash;         /* XXH3-64, seed 0, of the stored bytes; 0 when elided */
    uint64_t digest[TTLOG_CLASS_COUNT]; /* of the canonical columns; see below */
    uint64_t chain;             /* XXH3-64, seed 0, of the five little-endian words {chain of the previous chunk in this
                                   stream, vCPU and epoch (0 for the first), cell, part << 32 | count,
                                   digest[PATH], digest[POSITION]} */
    uint64_t reserved[4];
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_chunk_header) == TTLOG_CHUNK_HEADER_SIZE, "chunk header is 192 bytes");

/* Digests. The raw body begins with a table: uint32_t column_size[N], N = TTLOG_BRANCH_COLUMNS or
 * TTLOG_EVENT_COLUMNS, then the columns in sequence without padding, in the order of the enumerations
 * below, where the columns of a class are adjacent. digest[class] = XXH3-64, seed = count, over the bytes of that
 * class's columns; a class without columns has digest 0. Columns are chunk-local: a first value refers to nothing
 * outside the chunk except header fields, which are compared directly. (Events have no path and label columns, branches
 * have no payload columns. Without icount the columns of branch positions are empty.) The encodings are canonical: each
 * value has exactly one form. Codec, sizes, offsets, tickets and times are in no digest. */

/* The run continued after this trailer: a log that ends with it is not closed. */
#define TTLOG_TRAILER_CONTINUES (1u << 0)

struct ttlog_trailer {
    uint64_t magic;
    uint32_t trailer_crc; /* CRC32C of the 64 bytes, this field taken as zero */
    uint32_t chunk_count; /* chunks in this trailer's directory */
    uint64_t nonce;
    uint64_t offset;           /* of this trailer in the file */
    uint64_t directory_offset; /* of the directory chunk's header */
    uint64_t previous_trailer; /* offset of the trailer whose directory lists the earlier chunks; 0 = none.
                                  A directory lists only the chunks written since the previous trailer. */
    uint64_t lost_records;     /* records that could not be written, all streams, whole log */
    uint32_t flags;            /* TTLOG_TRAILER_* */
    uint32_t reserved;
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_trailer) == 64, "trailer is 64 bytes");

/* ---------------------------------------------------------------------------------------------------- branches */

/* A branch is one transition between instructions that began executing. The branch with clock n takes the counter
 * from n to n + 1. Its label is the class of the instruction at `from`, from its bytes, and whether the static target of
 * that instruction is `to`. It is never a cause. */
enum ttlog_branch_class {
    TTLOG_BRANCH_NONE = 0, /* not a control-transfer instruction: an exception or an interrupt left it */
    TTLOG_BRANCH_JCC = 1,  /* conditional jump, loop, jrcxz */
    TTLOG_BRANCH_JMP = 2,
    TTLOG_BRANCH_JMP_INDIRECT = 3,
    TTLOG_BRANCH_CALL = 4,
    TTLOG_BRANCH_CALL_INDIRECT = 5,
    TTLOG_BRANCH_RET = 6,
    TTLOG_BRANCH_FAR = 7, /* far jmp, call, ret */
    TTLOG_BRANCH_IRET = 8,
    TTLOG_BRANCH_INT = 9, /* int n, int3, int1, into */
    TTLOG_BRANCH_SYSCALL = 10,
    TTLOG_BRANCH_SYSRET = 11,
    TTLOG_BRANCH_SYSENTER = 12,
    TTLOG_BRANCH_SYSEXIT = 13,
    TTLOG_BRANCH_HLT = 14,
    TTLOG_BRANCH_REP = 15, /* string instruction with a repeat prefix */
    TTLOG_BRANCH_RSM = 16,
    TTLOG_BRANCH_UNKNOWN = 31, /* the recorder does not know the instruction */
};
#define TTLOG_LABEL_CLASS_MASK 0x1fu
#define TTLOG_LABEL_STATIC 0x20u /* the static target in the instruction's bytes is `to` */

/* A discontinuity: no branch instruction explains the transition. (An indirect branch explains any target.) */
static inline int ttlog_label_is_discontinuity(uint8_t label) {
    switch (label & TTLOG_LABEL_CLASS_MASK) {
    case TTLOG_BRANCH_NONE:
    case TTLOG_BRANCH_HLT:
    case TTLOG_BRANCH_REP:
        return 1;
    case TTLOG_BRANCH_JCC:
    case TTLOG_BRANCH_JMP:
    case TTLOG_BRANCH_CALL:
        return !(label & TTLOG_LABEL_STATIC);
    default:
        return 0;
    }
}

/* Columns of a branch body. */
enum ttlog_branch_column {
    /* path */
    TTLOG_BCOL_CONTROL = 0, /* ceil(count / 2) bytes; low nibble = even record. Nibble: bits 0-1 length code of the
                               from value, bits 2-3 length code of the to value. An unused high nibble is 0. */
    TTLOG_BCOL_FROM = 1,    /* from - previous to (0 before the first), unsigned, shortest of 1, 2, 4, 8 bytes
                               (codes 0-3), zero-extended */
    TTLOG_BCOL_TO = 2,      /* to - from, signed, shortest of 1, 2, 3, 8 bytes (codes 0-3), sign-extended */
    /* label */
    TTLOG_BCOL_LABEL = 3,        /* ceil(count / 2) bytes, nibbles as above: an index into ttlog_label_of_nibble, or 15 */
    TTLOG_BCOL_LABEL_ESCAPE = 4, /* one byte a nibble 15: the label itself (never one that has a nibble) */
    /* position */
    TTLOG_BCOL_ICOUNT = 5,        /* one byte a record: icount - previous icount (icount_first for the first, so 0), or
                                     255: the step is in the next column. Absent (0 bytes) without FEATURE_ICOUNT. */
    TTLOG_BCOL_ICOUNT_ESCAPE = 6, /* uint64_t a record whose step is >= 255 (or negative, modulo 2^64) */
    TTLOG_BRANCH_COLUMNS = 7,
};

#define TTLOG_LABEL_NIBBLES                                                                                       \
    {                                                                                                             \
        TTLOG_BRANCH_JCC | TTLOG_LABEL_STATIC, TTLOG_BRANCH_JMP | TTLOG_LABEL_STATIC,                             \
            TTLOG_BRANCH_CALL | TTLOG_LABEL_STATIC, TTLOG_BRANCH_RET, TTLOG_BRANCH_JMP_INDIRECT,                  \
            TTLOG_BRANCH_CALL_INDIRECT, TTLOG_BRANCH_IRET, TTLOG_BRANCH_SYSCALL, TTLOG_BRANCH_SYSRET,             \
            TTLOG_BRANCH_INT, TTLOG_BRANCH_NONE, TTLOG_BRANCH_UNKNOWN, TTLOG_BRANCH_JCC, TTLOG_BRANCH_HLT,        \
            TTLOG_BRANCH_REP                                                                                      \
    }
#define TTLOG_LABEL_NIBBLE_ESCAPE 15u

/* ------------------------------------------------------------------------------------------------------ events */

/* Event kinds. A number never changes. A reader skips and counts the kinds that it does not know. The event, access and
 * meta streams use the same record.
 *
 * Clock of an event: the number of transitions before it. An event with clock n comes before branch n.
 * icount of an event: the number of instructions begun before the one at ip.
 *
 * "payload" lists the compared payload, in little-endian words; "private" lists the private payload. Address and value
 * words exist only with TTLOG_VALID_ADDRESS and TTLOG_VALID_VALUE. */
enum ttlog_event_kind {
    TTLOG_EVENT_INTERRUPT = 1,      /* info: vector, or TTLOG_VECTOR_UNKNOWN. payload: value = to (handler) */
    TTLOG_EVENT_EXCEPTION = 2,      /* info: vector or unknown. ip: the faulting instruction. payload: address = CR2;
                                       value = error code */
    TTLOG_EVENT_DISCONTINUITY = 3,  /* a transition that no branch explains. info: label. ip: from. payload: value = to */
    TTLOG_EVENT_SYSCALL = 4,        /* info: number or unknown. payload: value ... = arguments */
    TTLOG_EVENT_SOFTWARE_INTERRUPT = 5, /* info: vector */

    /* The access stream. A read that did not complete (a fault; the check that ends a repeated ins or outs) has no value,
     * even in logs with FEATURE_ACCESS_VALUES. */
    TTLOG_EVENT_PORT_READ = 16,  /* info: bytes (1, 2, 4; 0: unknown, then value has 4) | TTLOG_ACCESS_STRING. payload:
                                    address = port; value */
    TTLOG_EVENT_PORT_WRITE = 17, /* the same */
    TTLOG_EVENT_MMIO_READ = 18,  /* info: bytes. payload: address = physical address; value (1 or 2 words) */
    TTLOG_EVENT_MMIO_WRITE = 19, /* the same */
    TTLOG_EVENT_RDTSC = 20,      /* info: 0 rdtsc, 1 rdtscp. payload: value = edx:eax */
    TTLOG_EVENT_CPUID = 21,      /* payload: address = leaf | subleaf << 32; values ebx:eax, edx:ecx */
    TTLOG_EVENT_RDMSR = 22,      /* payload: address = msr; value = edx:eax */
    TTLOG_EVENT_WRMSR = 23,      /* the same */
    TTLOG_EVENT_RDRAND = 24,     /* rdrand, rdseed. payload: value */
    TTLOG_EVENT_RAM_READ = 25,   /* completed. info: bytes (1 ... 16). payload: address = physical address; value = virtual
                                    address, then the bytes read (1 or 2 words; none without FEATURE_RAM_VALUES). An access
                                    that crosses a page is two records */
    TTLOG_EVENT_RAM_WRITE = 26,  /* the same */

    TTLOG_EVENT_HYPERCALL = 32,        /* info: number. payload: value ... = arguments */
    TTLOG_EVENT_HYPERCALL_RESULT = 33, /* info: number. payload: value = result, then memory outputs */
    TTLOG_EVENT_UPCALL = 34,           /* event-channel upcall. info: vector or 0. payload: value ... = pending words */
    TTLOG_EVENT_TIME_UPDATE = 35,      /* payload: value ... = the time page's or wall clock's new contents */
    TTLOG_EVENT_EXIT = 36,             /* the guest itself entered the hypervisor. ip, registers: at the exit. info:
                                          TTLOG_EXIT_*, reason << TTLOG_EXIT_REASON_SHIFT. payload: value ... = one word a bit */
    TTLOG_EVENT_FOREIGN_WRITE = 37,    /* somebody else wrote to the guest's memory. info: enum ttlog_area | bytes << 8.
                                          payload: address = in the area; value ... = the bytes, padded with zeros */
    TTLOG_EVENT_FOREIGN_READ = 38,     /* another domain read the guest's memory: what the guest sends. info: bytes. payload:
                                          address = physical; value = a digest of the bytes */

    TTLOG_EVENT_CONTEXT = 48, /* cr3 was changed, or the stack was switched: the instruction at ip loaded sp from memory, a
                                 constant or another register than the frame pointer (mov, lea, pop, xchg; not leave, iret
                                 or a delivery). payload: value = cr3, sp, both after that instruction.
                                 Xen: cr3 only, at the exit that changed it */
    TTLOG_EVENT_STATE = 49,   /* state digest. info: TTLOG_STATE_* words that follow. payload: value ... = one word a bit */
    TTLOG_EVENT_REWOUND = 50, /* the guest was put back to an earlier point. payload: value = clock, icount before */
    TTLOG_EVENT_TRACE_GAP = 51, /* nothing was recorded from here to the next epoch. info: enum ttlog_gap_reason */
    TTLOG_EVENT_PAGE_DIGESTS = 52, /* digests of the guest's memory by page. payload: address = number of the first page;
                                      value ... = one digest a page of 4096 bytes; 0: there is no such page */

    /* meta stream */
    TTLOG_EVENT_ATTRIBUTE = 64,      /* payload: key NUL value, UTF-8. The last one of a key is valid. */
    TTLOG_EVENT_ANNOTATION = 65,     /* info: vcpu. payload: UTF-8 text */
    TTLOG_EVENT_LOST = 66,           /* info: vcpu. payload: value = stream, records lost, clock after the loss */
    TTLOG_EVENT_COMPARABLE_END = 67, /* info: vcpu. clock, icount: the first position that is not compared.
                                        payload: UTF-8 text, why */
    TTLOG_EVENT_RUN_END = 68,        /* info: enum ttlog_run_end. payload: UTF-8 text */

    /* From an engine's own log of input, imported from another format. Event stream. */
    TTLOG_EVENT_CLOCK_READ = 80,   /* info: 0 host clock, 1 virtual real-time clock. payload: value = nanoseconds */
    TTLOG_EVENT_CHECKPOINT = 81,   /* info: enum ttlog_checkpoint */
    TTLOG_EVENT_ENGINE_INPUT = 82, /* info: enum ttlog_engine_input. payload: bytes as in the engine's log */
    TTLOG_EVENT_MACHINE_STOP = 83, /* info: enum ttlog_machine_stop */
};

/* Where an engine's threads synchronise with the guest's. The names are those of QEMU's checkpoints. */
enum ttlog_checkpoint {
    TTLOG_CHECKPOINT_CLOCK_WARP_START = 0,
    TTLOG_CHECKPOINT_CLOCK_WARP_ACCOUNT = 1,
    TTLOG_CHECKPOINT_RESET_REQUESTED = 2,
    TTLOG_CHECKPOINT_SUSPEND_REQUESTED = 3,
    TTLOG_CHECKPOINT_CLOCK_VIRTUAL = 4,
    TTLOG_CHECKPOINT_CLOCK_HOST = 5,
    TTLOG_CHECKPOINT_CLOCK_VIRTUAL_RT = 6,
    TTLOG_CHECKPOINT_INIT = 7,
    TTLOG_CHECKPOINT_RESET = 8,
};

/* The source of data or a completion that an engine delivered to the machine. */
enum ttlog_engine_input {
    TTLOG_INPUT_BOTTOM_HALF = 0,
    TTLOG_INPUT_BOTTOM_HALF_ONCE = 1,
    TTLOG_INPUT_INPUT = 2, /* keyboard, pointer */
    TTLOG_INPUT_INPUT_SYNC = 3,
    TTLOG_INPUT_CHARACTER_READ = 4,
    TTLOG_INPUT_BLOCK = 5,
    TTLOG_INPUT_NETWORK = 6,
    TTLOG_INPUT_CHARACTER_WRITE = 7, /* how much of a write was taken */
    TTLOG_INPUT_CHARACTER_READ_ALL = 8,
    TTLOG_INPUT_CHARACTER_READ_ERROR = 9,
    TTLOG_INPUT_AUDIO_OUT = 10,
    TTLOG_INPUT_AUDIO_IN = 11,
    TTLOG_INPUT_RANDOM = 12,
};

/* Why an engine stopped or restarted the machine. The names are those of QEMU's causes. */
enum ttlog_machine_stop {
    TTLOG_STOP_NONE = 0,
    TTLOG_STOP_HOST_ERROR = 1,
    TTLOG_STOP_HOST_QMP_QUIT = 2,
    TTLOG_STOP_HOST_QMP_SYSTEM_RESET = 3,
    TTLOG_STOP_HOST_SIGNAL = 4,
    TTLOG_STOP_HOST_UI = 5,
    TTLOG_STOP_GUEST_SHUTDOWN = 6,
    TTLOG_STOP_GUEST_RESET = 7,
    TTLOG_STOP_GUEST_PANIC = 8,
    TTLOG_STOP_SUBSYSTEM_RESET = 9,
    TTLOG_STOP_SNAPSHOT_LOAD = 10,
    TTLOG_STOP_LAST = 11,
};

#define TTLOG_VECTOR_UNKNOWN 0xffffffffu
#define TTLOG_ACCESS_STRING 0x100u /* ins, outs */

#define TTLOG_STATE_GPR (1u << 0)     /* general registers and rip */
#define TTLOG_STATE_CONTROL (1u << 1) /* segments, control registers except CR2 and CR3 */
#define TTLOG_STATE_VECTOR (1u << 2)  /* x87, SSE */
#define TTLOG_STATE_CR2_CR3 (1u << 3)
#define TTLOG_STATE_MEMORY (1u << 4)  /* guest memory */

/* The words of an exit, as bits of info. The payload has a word for each bit that is set, lowest bit first. */
#define TTLOG_EXIT_REGISTER(n) (1u << (n)) /* the new value of general register n, if it changed, in the order of their
                                              encoding: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 ... r15 */
#define TTLOG_EXIT_RIP (1u << 16)          /* the next ip - ip */
#define TTLOG_EXIT_FLAGS (1u << 17)        /* the new rflags */
#define TTLOG_EXIT_INJECTED (1u << 18)     /* the exception that the guest got as a result: AMD's EVENTINJ */
#define TTLOG_EXIT_CHANGES 0x7ffffu        /* the bits above: what the exit changed */
#define TTLOG_EXIT_OPERAND (1u << 19)      /* what the exit was about, if not 0; by its reason */
#define TTLOG_EXIT_VALUE (1u << 20)        /* what the guest wrote (WRMSR, PORT_WRITE), if not 0 */
#define TTLOG_EXIT_CODE (1u << 21)         /* OTHER: the processor's exit code, if not 0 */
#define TTLOG_EXIT_REASON_SHIFT 24

/* Why the guest exited; the operand. */
enum ttlog_exit_reason {
    TTLOG_EXIT_OTHER = 0,
    TTLOG_EXIT_RDTSC = 1,      /* 0 rdtsc, 1 rdtscp */
    TTLOG_EXIT_CPUID = 2,      /* leaf | subleaf << 32 */
    TTLOG_EXIT_RDMSR = 3,      /* number */
    TTLOG_EXIT_WRMSR = 4,      /* number */
    TTLOG_EXIT_PORT_READ = 5,  /* port | bytes << 16 | string << 24 */
    TTLOG_EXIT_PORT_WRITE = 6, /* the same */
    TTLOG_EXIT_MEMORY = 7,     /* a nested page fault: physical address */
    TTLOG_EXIT_HYPERCALL = 8,  /* number */
    TTLOG_EXIT_HALT = 9,
    TTLOG_EXIT_CONTROL_READ = 10,  /* number of the control register */
    TTLOG_EXIT_CONTROL_WRITE = 11, /* the same */
    TTLOG_EXIT_EXCEPTION = 12,     /* vector */
    TTLOG_EXIT_SHUTDOWN = 13,      /* a triple fault */
};

/* Where a foreign write went. The address is an offset in the area; for guest memory and pages, a physical address. */
enum ttlog_area {
    TTLOG_AREA_MEMORY = 0, /* guest memory, by physical address, of a PV guest by linear address: the hypervisor wrote as a
                              result of an exit */
    TTLOG_AREA_SHARED_INFO = 1,
    TTLOG_AREA_VCPU_INFO = 2,
    TTLOG_AREA_CONSOLE = 3,
    TTLOG_AREA_XENSTORE = 4,
    TTLOG_AREA_GRANTS = 5,       /* the guest's grant table: status bits */
    TTLOG_AREA_GRANT_STATUS = 6, /* the status frames of its version 2 */
    TTLOG_AREA_PAGES = 7,        /* pages that the guest grants, by physical address: a backend wrote */
};

/* Why somebody wrote to the shared info or the vCPU info; other areas have one purpose each. A write may have both. */
enum ttlog_reason { TTLOG_REASON_EVENT_CHANNEL = 1, TTLOG_REASON_TIME = 2 };

/* info of a foreign write: the area, the number of bytes (16 bits), the reason. */
#define TTLOG_WRITE_LENGTH_SHIFT 8
#define TTLOG_WRITE_REASON_SHIFT 24

/* Private payload of interrupts and foreign writes in logs of Xen: how the recorder found the position. Without it, the
 * event belongs to the last exit: it took place after the exit's completion. */
#define TTLOG_PLACED_ANYWHERE 1u /* between two exits: ip, registers (and icount) give the place */
#define TTLOG_PLACED_WINDOW 2u   /* where the guest allowed interrupts again after the last exit */

enum ttlog_gap_reason { TTLOG_GAP_UNKNOWN = 0, TTLOG_GAP_WINDOW_CLOSED = 1, TTLOG_GAP_CHECKPOINT = 2, TTLOG_GAP_REWOUND = 3 };

enum ttlog_run_end {
    TTLOG_END_UNKNOWN = 0,
    TTLOG_END_GUEST_SHUTDOWN = 1,
    TTLOG_END_GUEST_RESET = 2,
    TTLOG_END_GUEST_PANIC = 3,
    TTLOG_END_HOST_QUIT = 4,      /* the operator or the tool ended it */
    TTLOG_END_HOST_ERROR = 5,     /* the engine gave up with an error */
    TTLOG_END_INPUT_EXHAUSTED = 6, /* a replay reached the end of its recording's input */
    TTLOG_END_HUNG = 7,           /* a replay made no progress and was ended */
    TTLOG_END_KILLED = 8,         /* the recorder was killed */
    TTLOG_END_DIVERGED = 9,       /* the engine found that the replay is not its recording */
};

/* Validity bits of an event. */
#define TTLOG_VALID_IP (1u << 0)
#define TTLOG_VALID_ICOUNT (1u << 1)
#define TTLOG_VALID_RCX (1u << 2)       /* aux holds rcx */
#define TTLOG_VALID_REGISTERS (1u << 3) /* aux holds a hash of the registers (never together with RCX) */
#define TTLOG_VALID_ADDRESS (1u << 4)   /* the payload begins with an address word */
#define TTLOG_VALID_VALUE (1u << 5)     /* value words follow in the payload */
#define TTLOG_VALID_TSC (1u << 6)       /* tsc (private) is known */

#define TTLOG_PAYLOAD_MAX 65535u
#define TTLOG_PRIVATE_MAX 64u
/* The most compared payload in one chunk: a record that would exceed it begins a new chunk. */
#define TTLOG_EVENT_CHUNK_PAYLOAD_MAX (256u << 10)

/* Columns of an event, access or meta body. varint: LEB128, 7 bits a byte, least significant first, shortest form.
 * zigzag: (v << 1) ^ (v >> 63), then varint. "previous" is the previous record in the chunk. */
enum ttlog_event_column {
    /* position */
    TTLOG_ECOL_KIND = 0,     /* varint */
    TTLOG_ECOL_VALIDITY = 1, /* varint: validity bits without VALID_TSC */
    TTLOG_ECOL_CLOCK = 2,    /* zigzag: clock - previous clock (clock_first for the first) */
    TTLOG_ECOL_ICOUNT = 3,   /* zigzag, only records with VALID_ICOUNT: icount - icount of the last such record
                                (icount_first for the first) */
    TTLOG_ECOL_IP = 4,       /* zigzag, only records with VALID_IP: ip - ip of the last such record (0 for the first) */
    /* payload */
    TTLOG_ECOL_INFO = 5,           /* varint */
    TTLOG_ECOL_AUX = 6,            /* uint64_t, only records with VALID_RCX or VALID_REGISTERS */
    TTLOG_ECOL_PAYLOAD_LENGTH = 7, /* varint */
    TTLOG_ECOL_PAYLOAD = 8,        /* the bytes */
    /* private, in no digest; together private_size bytes */
    TTLOG_ECOL_TICKET = 9,          /* zigzag: ticket - previous ticket (the chunk's ticket for the first) */
    TTLOG_ECOL_TSC = 10,            /* per record: varint 0 = unknown, else 1 + zigzag(tsc - last known tsc (0)) as varint */
    TTLOG_ECOL_PRIVATE_LENGTH = 11, /* varint */
    TTLOG_ECOL_PRIVATE = 12,        /* the bytes */
    TTLOG_EVENT_COLUMNS = 13,
};

/* ----------------------------------------------------------------------------------------------- the open file */

/* "<log>.open" is preallocated and mapped shared by the writer, which removes it at a clean close. It has two slots for
 * each (stream, vCPU) and two for meta. A slot holds the records of one chunk that is not sealed yet, in units: branches
 * of 24 bytes, events of 64. The writer stores a record's bytes, then the slot's commit word with release order. So all
 * committed records of a killed writer can be read.
 *
 *     open header (4096 bytes)
 *     slot_count descriptors of 64 bytes
 *     slots, each page-aligned: slot header (128 bytes), then units
 *
 * A slot is in use while its commit word's unit count is not 0. When the chunk has been written to the log, the
 * writer sets the commit word to (generation + 1, 0). If it is killed between the two, the slot repeats a complete chunk
 * of the log: the same stream, vcpu, epoch, cell and part. The chunk in the log is valid then, not the slot. */

struct ttlog_open_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_crc; /* CRC32C of the first 64 bytes, this field taken as zero */
    uint64_t nonce;      /* the log's */
    uint32_t slot_count;
    uint32_t reserved0;
    uint64_t file_size; /* bytes in use; the file may be longer */
    uint64_t reserved1[3];
    /* Written during the run from here on. */
    uint64_t committed_branches; /* live counters for a progress display, all vCPUs */
    uint64_t committed_events;   /* events, accesses and meta records */
    uint64_t clock;              /* vCPU 0 */
    uint64_t icount;             /* vCPU 0, at the last record */
    uint64_t lost[8];            /* records lost, by enum ttlog_stream */
    uint64_t error;              /* errno that ended the logging, or 0 */
    uint64_t stored_bytes;       /* bytes in the log so far */
    uint8_t reserved2[4096 - 176];
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_open_header) == 4096, "open header is 4096 bytes");

struct ttlog_slot_descriptor {
    uint64_t offset;   /* of the slot header in the open file */
    uint32_t capacity; /* units */
    uint32_t unit_size;
    uint8_t stream;
    uint8_t reserved0;
    uint16_t vcpu;
    uint32_t crc; /* CRC32C of the 64 bytes, this field taken as zero */
    uint64_t reserved[5];
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_slot_descriptor) == 64, "slot descriptor is 64 bytes");

struct ttlog_slot_header {
    uint64_t commit; /* generation << 32 | units */
    uint64_t cell;
    uint32_t epoch;
    uint32_t part;
    uint32_t flags; /* TTLOG_CHUNK_PARTIAL_HEAD, TTLOG_CHUNK_GAP_BEFORE; PARTIAL_TAIL if the epoch has ended */
    uint32_t reserved0;
    uint64_t first_ordinal;
    uint64_t clock_first; /* branches: the clock of the first record; the others follow one by one */
    uint64_t chain;       /* a hint: the chain of the chunk sealed last. The last chunk in the log of this stream, vCPU
                             and epoch is authoritative (0: there is none) */
    uint8_t reserved[128 - 56];
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_slot_header) == 128, "slot header is 128 bytes");

struct ttlog_raw_branch {
    uint64_t from;
    uint64_t to;
    uint64_t icount_label; /* icount << 8 | label; icount: instructions begun before the one at `to` */
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_raw_branch) == 24, "raw branch is 24 bytes");

/* One unit, then ceil(payload_length / 64) units of payload, then one unit of private payload, if it is not empty. */
struct ttlog_raw_event {
    uint16_t kind;
    uint16_t validity;
    uint16_t payload_length;
    uint16_t private_length;
    uint32_t info;
    uint32_t reserved;
    uint64_t clock;
    uint64_t icount;
    uint64_t ip;
    uint64_t aux;
    uint64_t ticket;
    uint64_t tsc;
};
TTLOG_STATIC_ASSERT(sizeof(struct ttlog_raw_event) == 64, "raw event is 64 bytes");

#endif
