/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers, their hash, and the position that records have. */
#include <asm/hvm/hvm.h>
#include "private.h"

/* Flags that the guest's own instructions set: CF PF AF ZF SF IF DF OF. */
#define FLAGS 0xed5

void ttd_read_registers(struct ttd_registers *to,
                        const struct cpu_user_regs *regs)
{
    to->word[TTD_RAX] = regs->rax;
    to->word[TTD_RCX] = regs->rcx;
    to->word[TTD_RDX] = regs->rdx;
    to->word[TTD_RBX] = regs->rbx;
    to->word[TTD_RSP] = regs->rsp;
    to->word[TTD_RBP] = regs->rbp;
    to->word[TTD_RSI] = regs->rsi;
    to->word[TTD_RDI] = regs->rdi;
    to->word[TTD_R8] = regs->r8;
    to->word[TTD_R9] = regs->r9;
    to->word[TTD_R10] = regs->r10;
    to->word[TTD_R11] = regs->r11;
    to->word[TTD_R12] = regs->r12;
    to->word[TTD_R13] = regs->r13;
    to->word[TTD_R14] = regs->r14;
    to->word[TTD_R15] = regs->r15;
    to->word[TTD_RIP] = regs->rip;
    to->word[TTD_RFLAGS] = regs->rflags;
    to->word[TTD_INJECTED] = 0;
}

void ttd_write_registers(const struct ttd_registers *from,
                         struct cpu_user_regs *regs)
{
    regs->rax = from->word[TTD_RAX];
    regs->rcx = from->word[TTD_RCX];
    regs->rdx = from->word[TTD_RDX];
    regs->rbx = from->word[TTD_RBX];
    regs->rsp = from->word[TTD_RSP];
    regs->rbp = from->word[TTD_RBP];
    regs->rsi = from->word[TTD_RSI];
    regs->rdi = from->word[TTD_RDI];
    regs->r8 = from->word[TTD_R8];
    regs->r9 = from->word[TTD_R9];
    regs->r10 = from->word[TTD_R10];
    regs->r11 = from->word[TTD_R11];
    regs->r12 = from->word[TTD_R12];
    regs->r13 = from->word[TTD_R13];
    regs->r14 = from->word[TTD_R14];
    regs->r15 = from->word[TTD_R15];
    regs->rip = from->word[TTD_RIP];
    regs->rflags = from->word[TTD_RFLAGS];
}

/* CRC32C: one instruction a word, and no change of 32 bits or fewer in a row is missed. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    asm ( "crc32q %1, %0" : "+r" (hash) : "rm" (word) );

    return hash;
}

/* event: NULL, or a synchronous exit, whose kind and info are hashed too. */
uint32_t ttd_hash(const struct ttd_registers *regs,
                  const struct ttd_event *event)
{
    struct ttd_registers masked;
    uint64_t hash = ~0u;
    unsigned int i;

    if ( event && unlikely(event->frame) )
    {
        masked = *regs;
        masked.word[event->frame - 1] &= ~PADDR_MASK | ~PAGE_MASK;
        regs = &masked;
    }

#pragma GCC unroll 32
    for ( i = TTD_RAX; i <= TTD_RIP; i++ )
        hash = mix(hash, regs->word[i]);
    hash = mix(hash, regs->word[TTD_RFLAGS] & FLAGS);
    if ( event )
    {
        hash = mix(hash, event->kind);
        hash = mix(hash, event->info);
    }

    return hash;
}

/* After an asynchronous exit the guest goes on where it was. */
void ttd_take_position(struct ttd_session *s)
{
    if ( !s->event.asynchronous )
        return;
    s->rip = s->before.word[TTD_RIP];
    s->hash = ttd_hash(&s->before, NULL);
    s->hash_is_due = false;
}

/* Few synchronous exits are followed by a record that needs it. */
uint32_t ttd_entered_hash(struct ttd_session *s)
{
    if ( s->hash_is_due )
    {
        s->hash = ttd_hash(&s->before, NULL);
        s->hash_is_due = false;
    }

    return s->hash;
}

/* Of a hypercall. */
uint64_t ttd_first_argument(const struct ttd_session *s,
                            const struct cpu_user_regs *regs)
{
    bool long_mode = is_pv_vcpu(s->vcpu) || hvm_long_mode_active(s->vcpu);

    return long_mode ? regs->rdi : (uint32_t)regs->rbx;
}

/* A record at the position where the guest is to be entered. */
void ttd_new_record(struct ttd_session *s, struct ttd_record *record,
                    enum ttd_type type)
{
    *record = (struct ttd_record){
        .type = type,
        .clock = s->clock,
        .rip = s->rip,
        .hash = ttd_entered_hash(s),
        .instructions = s->instructions,
    };
}
