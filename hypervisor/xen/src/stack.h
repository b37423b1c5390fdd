/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a processor's branch records mean.  Pure: tests compile it without Xen
 * (Tests/XenDaemon/branch_stack.c).
 *
 * A record is two registers, `from` and `to`.  All are cleared before the guest
 * is entered.  So a record that is still clear at the exit shows that no other
 * one was written over: what lies between the entry and the exit is complete.
 * Without one, it may be not, and the window says so there.
 */
#ifndef TTD_STACK_H
#define TTD_STACK_H

enum ttd_stack_kind {
    TTD_STACK_NONE,
    TTD_STACK_INTEL,    /* a ring; MSR_LASTBRANCH_TOS is the newest one */
    TTD_STACK_INTEL_ARCHITECTURAL,  /* number 0 is the newest one */
    TTD_STACK_AMD,      /* LbrExtV2: the same */
    TTD_STACK_AMD_BRS,  /* the first ones of a sample; number 0 is the oldest */
};

#define TTD_STACK_MAX 32u

struct ttd_stack {
    enum ttd_stack_kind kind;
    unsigned int depth;         /* records, at most TTD_STACK_MAX */
    unsigned int format;        /* INTEL: IA32_PERF_CAPABILITIES, bits 0 to 5 */
};

struct ttd_stack_record {
    uint64_t from, to;
};

/* Where transfers may be missing, beside the ones that were decoded. */
enum ttd_stack_gap {
    TTD_STACK_COMPLETE,
    TTD_STACK_GAP_BEFORE,
    TTD_STACK_GAP_AFTER,
};

/* Formats of Intel's manual 3B, "LBR stack": those with 64-bit addresses at
 * MSRs 0x680 and 0x6c0. */
#define TTD_FORMAT_FLAGS     3u /* from: bit 63 is no address */
#define TTD_FORMAT_FLAGS_TSX 4u /* bits 61 to 63 */
#define TTD_FORMAT_INFO      5u /* both are addresses */
#define TTD_FORMAT_TIME      6u /* from: as FLAGS; to: cycles from bit 48 on */
#define TTD_FORMAT_INFO2     7u /* as INFO */

static inline bool ttd_stack_knows(unsigned int format)
{
    return format >= TTD_FORMAT_FLAGS && format <= TTD_FORMAT_INFO2;
}

/* DBG_EXTN_CFG of processors with BRS. */
#define TTD_BRS_ENABLE    (1ul << 2)
#define TTD_BRS_RESERVED  (3ul << 3)    /* must be set */
#define TTD_BRS_VALID     (1ul << 5)    /* it has a record */
#define TTD_BRS_NEXT(cfg) (((cfg) >> 16) & 15)  /* 0 with VALID: all are used */

/* LbrExtV2: bits of `to`. */
#define TTD_LBR_VALID     (1ul << 63)
#define TTD_LBR_SPECULATIVE (1ul << 62) /* without VALID: on a wrong path */
#define TTD_LBR_ERRONEOUS (1ul << 61)   /* AMD's erratum 1452 */

static inline uint64_t ttd_extend(uint64_t address, unsigned int bits)
{
    return (uint64_t)((int64_t)(address << (64 - bits)) >> (64 - bits));
}

/* The place of the i-th newest record. */
static inline unsigned int ttd_stack_place(const struct ttd_stack *stack,
                                           uint64_t top, unsigned int i)
{
    if ( stack->kind != TTD_STACK_INTEL )
        return i;

    return (top % stack->depth + stack->depth - i) % stack->depth;
}

static inline bool ttd_stack_is_clear(const struct ttd_stack *stack,
                                      const struct ttd_stack_record *record)
{
    if ( stack->kind == TTD_STACK_AMD )
        return !(record->to & (TTD_LBR_VALID | TTD_LBR_SPECULATIVE |
                               TTD_LBR_ERRONEOUS));

    return !record->from && !record->to;
}

static inline struct ttd_stack_record
ttd_stack_addresses(const struct ttd_stack *stack,
                    const struct ttd_stack_record *raw)
{
    struct ttd_stack_record record = *raw;

    switch ( stack->kind )
    {
    case TTD_STACK_INTEL:
        if ( stack->format == TTD_FORMAT_FLAGS_TSX )
            record.from = ttd_extend(raw->from, 61);
        else if ( stack->format == TTD_FORMAT_FLAGS ||
                  stack->format == TTD_FORMAT_TIME )
            record.from = ttd_extend(raw->from, 63);
        if ( stack->format == TTD_FORMAT_TIME )
            record.to = ttd_extend(raw->to, 48);
        break;

    case TTD_STACK_AMD:
        record.from = ttd_extend(raw->from, 58);
        record.to = ttd_extend(raw->to, 58);
        break;

    case TTD_STACK_AMD_BRS:
        record.from = ttd_extend(raw->from, 48);
        record.to = ttd_extend(raw->to, 48);
        break;

    default:
        break;
    }

    return record;
}

static inline unsigned int
ttd_stack_decode_brs(const struct ttd_stack *stack, uint64_t config,
                     const struct ttd_stack_record *raw,
                     struct ttd_stack_record *out, enum ttd_stack_gap *gap)
{
    unsigned int i, nr = TTD_BRS_NEXT(config) ?: stack->depth;

    *gap = TTD_STACK_COMPLETE;
    if ( !(config & TTD_BRS_VALID) )
        return 0;
    if ( nr >= stack->depth )
    {
        nr = stack->depth;
        *gap = TTD_STACK_GAP_AFTER;
    }
    for ( i = 0; i < nr; i++ )
        out[i] = ttd_stack_addresses(stack, &raw[i]);

    return nr;
}

/*
 * Decodes the records raw[0] to raw[depth - 1] into out, the oldest one first;
 * returns how many.  top: MSR_LASTBRANCH_TOS, or DBG_EXTN_CFG for BRS.
 */
static inline unsigned int
ttd_stack_decode(const struct ttd_stack *stack, uint64_t top,
                 const struct ttd_stack_record *raw,
                 struct ttd_stack_record *out, enum ttd_stack_gap *gap)
{
    unsigned int i, used, nr = 0;

    if ( stack->kind == TTD_STACK_AMD_BRS )
        return ttd_stack_decode_brs(stack, top, raw, out, gap);

    for ( used = 0; used < stack->depth; used++ )
        if ( ttd_stack_is_clear(stack, &raw[ttd_stack_place(stack, top, used)]) )
            break;
    *gap = used == stack->depth ? TTD_STACK_GAP_BEFORE : TTD_STACK_COMPLETE;

    for ( i = used; i-- > 0; )
    {
        const struct ttd_stack_record *record =
            &raw[ttd_stack_place(stack, top, i)];

        if ( stack->kind == TTD_STACK_AMD )
        {
            if ( record->to & TTD_LBR_ERRONEOUS )
            {
                /* What is older cannot be joined to what is newer. */
                *gap = TTD_STACK_GAP_BEFORE;
                nr = 0;
                continue;
            }
            if ( !(record->to & TTD_LBR_VALID) )
                continue;
        }
        out[nr++] = ttd_stack_addresses(stack, record);
    }

    return nr;
}

#endif /* TTD_STACK_H */
