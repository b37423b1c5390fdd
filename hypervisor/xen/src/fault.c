/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Divergences made on purpose, to test a replay's check: one a session. */
#include <asm/hvm/hvm.h>
#include <asm/hvm/support.h>
#include "private.h"

/* Whether it is the turn of the chosen one. */
static bool turn(struct ttd_session *s, enum ttd_fault kind, bool of_this_sort)
{
    if ( s->fault.kind != kind || !of_this_sort )
        return false;
    if ( s->fault.at )
    {
        s->fault.at--;
        return false;
    }
    s->fault.kind = TTD_FAULT_NONE;
    printk(XENLOG_WARNING "ttd: d%d: fault %u on purpose at clock %lu\n",
           s->domain_id, kind, s->clock);

    return true;
}

/* The chosen bit in its byte; the byte's place is the bit's number / 8. */
static uint8_t mask(const struct ttd_session *s)
{
    return 1u << (s->fault.bit % 8);
}

static void flip_memory(struct ttd_session *s, paddr_t gpa)
{
    uint8_t byte;

    gpa += s->fault.bit / 8;
    if ( is_pv_vcpu(s->vcpu) )
    {
        if ( !ttd_pv_read(&byte, gpa, 1) )
            return;
        byte ^= mask(s);
        ttd_pv_write(gpa, &byte, 1);
        return;
    }
    if ( hvm_copy_from_guest_phys(&byte, gpa, 1) != HVMTRANS_okay )
        return;
    byte ^= mask(s);
    hvm_copy_to_guest_phys(gpa, &byte, 1, s->vcpu);
}

/* At the end of an exit, whose results are in `after`. */
void ttd_fault_exit(struct ttd_session *s, struct ttd_registers *after)
{
    bool at_clock = s->clock == s->fault.at;

    if ( s->fault.late && (after->word[TTD_RFLAGS] & X86_EFLAGS_IF) &&
         !after->word[TTD_INJECTED] )
    {
        after->word[TTD_INJECTED] = s->fault.late;
        s->fault.late = 0;
    }

    switch ( s->fault.kind )
    {
    case TTD_FAULT_WORD:
        if ( turn(s, TTD_FAULT_WORD, s->due.kind == s->fault.detail &&
                  s->fault.bit / 64 < TTD_RIP) )
            after->word[s->fault.bit / 64] ^= 1ul << (s->fault.bit % 64);
        break;

    case TTD_FAULT_REGISTER:
        if ( at_clock )
        {
            s->fault.at = 0;
            if ( turn(s, TTD_FAULT_REGISTER, s->fault.detail <= TTD_R15) )
                after->word[s->fault.detail] ^= 1ul << (s->fault.bit % 64);
        }
        break;

    case TTD_FAULT_MEMORY:
        if ( at_clock )
        {
            s->fault.at = 0;
            if ( turn(s, TTD_FAULT_MEMORY, true) )
                flip_memory(s, s->fault.detail);
        }
        break;

    default:
        break;
    }
}

/* Before the due record, what the guest sends, is compared. */
void ttd_fault_sent(struct ttd_session *s)
{
    if ( turn(s, TTD_FAULT_SENT, s->due.mask == s->fault.detail &&
              s->fault.bit / 8 < s->due.mask) )
        flip_memory(s, s->due.info);
}

/* Whether the due record has a byte, counted from the start of its payload. */
static bool has_byte(const struct ttd_session *s, uint64_t place)
{
    return place < s->due.length;
}

/* The due record was used: what the replay's log has. */
void ttd_fault_hide(struct ttd_session *s)
{
    if ( s->fault.hidden )
        s->due.payload[s->fault.bit / 8] ^= mask(s);
    s->fault.hidden = false;
}

/* Before the due record is used.  True: it is not to be used. */
bool ttd_fault_record(struct ttd_session *s)
{
    struct ttd_record *due = &s->due;
    bool interrupt = due->type == TTD_INTERRUPT;
    uint64_t place = s->fault.bit / 8;

    if ( turn(s, TTD_FAULT_GUEST_WRITE,
              due->type == TTD_GUEST_WRITE && has_byte(s, place)) )
        due->payload[place] ^= mask(s);
    if ( turn(s, TTD_FAULT_SHARED_WRITE,
              due->type == TTD_SHARED_WRITE && due->code == s->fault.detail &&
              has_byte(s, place - due->info)) )
        due->payload[place - due->info] ^= mask(s);
    if ( turn(s, TTD_FAULT_PAGE,
              due->type == TTD_SHARED_WRITE && due->code == TTD_AREA_PAGES &&
              due->length >= (uint32_t)s->fault.detail && has_byte(s, place)) )
    {
        due->payload[place] ^= mask(s);
        s->fault.hidden = s->fault.detail >> 32;
    }
    if ( turn(s, TTD_FAULT_VECTOR, interrupt) )
        due->info ^= 1;
    if ( turn(s, TTD_FAULT_LATE, interrupt) )
    {
        s->fault.late = (due->info & 0xff) | (1ul << 31);
        return true;
    }

    return turn(s, TTD_FAULT_LOST, interrupt);
}
