/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * entry.S - the ways into the kernel (exceptions, interrupts, int 0x80, syscall) and the way to ring 3 and back.
 *
 * TRUTH: these events are recorded (truth.c).
 */
#include "truth.h"

    .text

    /* One stub for each vector: it gives every frame the same form, {vector, error code}. */
    .macro stub vector, has_error_code
    .globl vector_\vector
    .type vector_\vector, @function
vector_\vector:
    .if \has_error_code == 0
    pushq $0
    .endif
    pushq $\vector
    jmp trap_entry
    .size vector_\vector, . - vector_\vector
    .endm

    stub 6, 0                                   /* #UD */
    stub 13, 1                                  /* #GP */
    stub 14, 1                                  /* #PF */
    stub 32, 0                                  /* timer */
    stub 36, 0                                  /* serial line */
    stub 128, 0                                 /* int 0x80 */

    /* Saves what struct trap_frame describes and calls handle_trap. */
    .type trap_entry, @function
trap_entry:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
#ifdef TRUTH
    movq 120(%rsp), %rbx                        /* vector */
    shlq $8, %rbx
    orq $TRUTH_INTERRUPT, %rbx
    note %rbx, 136(%rsp), %rax, %rcx            /* rip */
#endif
    movq %rsp, %rdi
    cld
    call handle_trap
#ifdef TRUTH
    movq 120(%rsp), %rbx
    shlq $8, %rbx
    orq $TRUTH_INTERRUPT_RETURN, %rbx
    note %rbx, 136(%rsp), %rax, %rcx
#endif
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp                              /* vector, error code */
    iretq
    .size trap_entry, . - trap_entry

    /* rcx = return address, r11 = flags, both of ring 3; rdi, rsi = arguments. */
    .globl syscall_entry
    .type syscall_entry, @function
syscall_entry:
    movq %rsp, user_stack_pointer
    movq $trap_stack_top, %rsp
    pushq %rcx
    pushq %r11
#ifdef TRUTH
    note $TRUTH_SYSCALL, %rcx, %rax, %rdx
#endif
    call handle_syscall
#ifdef TRUTH
    note $TRUTH_SYSCALL_RETURN, 8(%rsp), %r8, %rdx
#endif
    popq %r11
    popq %rcx
    movq user_stack_pointer, %rsp
    sysretq
    .size syscall_entry, . - syscall_entry

    /* void enter_user(void (*entry)(void), void *stack_top): returns when leave_user is called. */
    .globl enter_user
    .type enter_user, @function
enter_user:
#ifdef TRUTH
    note $TRUTH_ENTER, $enter_user, %rax, %rcx
#endif
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kernel_stack_pointer
    pushq $0x23                                 /* ss: user data */
    pushq %rsi
    pushq $0x202                                /* flags: interrupts on */
    pushq $0x2b                                 /* cs: user code */
    pushq %rdi
    iretq
    .size enter_user, . - enter_user

    .globl leave_user
    .type leave_user, @function
leave_user:
#ifdef TRUTH
    note $TRUTH_ENTER, $leave_user, %rax, %rcx
    note $TRUTH_EXIT, $enter_user, %rax, %rcx   /* and all calls since */
#endif
    movq kernel_stack_pointer, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    sti
    ret
    .size leave_user, . - leave_user

    .bss
kernel_stack_pointer:
    .skip 8
user_stack_pointer:
    .skip 8

    .section .note.GNU-stack, "", @progbits
