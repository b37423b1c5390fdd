/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of a PVH guest (xen/include/public/arch-x86/hvm/start_info.h): 32 bits, no paging, ebx is the address of struct
 * hvm_start_info. Maps the first GiB as it is, goes to 64 bits, calls guest_main(start_info).
 */
        .section .note.Xen, "a", @note
        .align 4
        .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long start

        .text
        .code32
        .globl start
start:
        nopl 0x2b647474(%eax)   /* a recorder outside watches from here on: nested=marked of QEMU's plugin */
        cld
        mov $stack_end, %esp
        mov %ebx, %edi          /* the argument of guest_main */

        mov $level3, %eax
        or $3, %eax
        mov %eax, level4
        mov $level2, %eax
        or $3, %eax
        mov %eax, level3
        xor %ecx, %ecx
1:      mov %ecx, %eax
        shl $21, %eax
        or $0x83, %eax          /* present, writable, 2 MiB */
        mov %eax, level2(, %ecx, 8)
        inc %ecx
        cmp $512, %ecx
        jne 1b

        mov %cr4, %eax
        or $0x620, %eax         /* PAE, OSFXSR, OSXMMEXCPT */
        mov %eax, %cr4
        mov $level4, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx   /* EFER */
        rdmsr
        or $0x100, %eax         /* LME */
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt descriptor_table
        ljmp $8, $2f

        .code64
2:      mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov %edi, %edi          /* clears the upper half */
        call guest_main
3:      hlt
        jmp 3b

/* The gate of the event channel's upcall: on_upcall(rip of the interrupted instruction). */
        .globl upcall
upcall:
        push %rax
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %r8
        push %r9
        push %r10
        push %r11
        mov 72(%rsp), %rdi
        cld
        call on_upcall
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rax
        iretq

        .data
        .align 16
descriptors:
        .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
descriptor_table:
        .word 23
        .long descriptors

        .bss
        .align 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4096
        .globl shared_info
shared_info:
        .skip 4096
        .skip 16384
stack_end:
        .section .note.GNU-stack, "", @progbits
