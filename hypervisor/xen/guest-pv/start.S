/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of a PV guest (xen/include/public/xen.h): 64 bits, in ring 3, with page tables that the domain builder made; rsi is
 * the address of struct start_info. Calls guest_main(start_info).
 */
        .macro begin_note type
        .section .note.Xen, "a", @note
        .align 4
        .long 4, 2f - 1f, \type
        .asciz "Xen"
1:
        .endm
        .macro note_word type, value
        begin_note \type
        .quad \value
2:      .align 4
        .endm
        .macro note_text type, text
        begin_note \type
        .asciz "\text"
2:      .align 4
        .endm

        note_word 1, start              /* XEN_ELFNOTE_ENTRY */
        note_word 2, hypercall_page     /* XEN_ELFNOTE_HYPERCALL_PAGE */
        note_word 3, 0xffffffff80000000 /* XEN_ELFNOTE_VIRT_BASE */
        note_word 4, 0                  /* XEN_ELFNOTE_PADDR_OFFSET */
        note_text 5, xen-3.0            /* XEN_ELFNOTE_XEN_VERSION */
        note_text 6, ttd-guest          /* XEN_ELFNOTE_GUEST_OS */
        note_text 8, generic            /* XEN_ELFNOTE_LOADER */
        note_text 9, yes                /* XEN_ELFNOTE_PAE_MODE */

        .text
        .globl start
start:
        cld
        mov $stack_end, %rsp
        mov %rsi, %rdi
        call guest_main
1:      jmp 1b

        /*
         * Xen's frame: rcx, r11, an error code for some exceptions, rip, cs, rflags, rsp, ss. FUNCTION gets the address of
         * rip in it. iret is a hypercall, whose frame begins with rax, r11, rcx, flags.
         */
        .macro entry name, function, error_code
        .globl \name
\name:
        push %rax
        push %rdx
        push %rsi
        push %rdi
        push %r8
        push %r9
        push %r10
        lea 72 + \error_code(%rsp), %rdi
        cld
        call \function
        pop %r10
        pop %r9
        pop %r8
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rax
        pop %rcx
        pop %r11
        add $\error_code, %rsp
        pushq $0
        push %rcx
        push %r11
        push %rax
        mov $23, %eax           /* HYPERVISOR_iret */
        syscall
        .endm

        entry upcall, on_upcall, 0
        entry invalid_opcode, on_exception, 0
        entry page_fault, on_exception, 8

        .globl failsafe
failsafe:
        ud2

        .align 4096
hypercall_page:
        .skip 4096

        .bss
        .align 4096
        .globl shared_info
shared_info:
        .skip 4096
        .skip 16384
stack_end:
        .section .note.GNU-stack, "", @progbits
