/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * boot.S - entry by the PVH protocol (32-bit protected mode, paging off), and the switch to 64-bit mode.
 *
 * Source: xen/include/public/arch-x86/hvm/start_info.h; Intel SDM volume 3, 9.8.5 "Initializing IA-32e Mode".
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4                 /* size of the name */
    .long 4                 /* size of the value */
    .long 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .set PAGE_PRESENT, 1
    .set PAGE_WRITE, 2
    .set PAGE_USER, 4
    .set PAGE_TABLE, PAGE_PRESENT | PAGE_WRITE | PAGE_USER
    .set PAGE_LARGE, 0x80 | PAGE_TABLE
    .set LARGE_SIZE, 0x200000
    .set IDENTITY_LARGE_PAGES, 16               /* 32 MiB, where physical = virtual */
    .set DEMAND_SLOT, 32                        /* 64 MiB ... 66 MiB: no page is mapped before it is touched */

    .section .text.start, "ax", @progbits
    .code32
    .globl start32
    .type start32, @function
start32:
    cli
    movl $boot_stack_top, %esp

    movl $(page_directory_pointers + PAGE_TABLE), page_map
    movl $(page_directory + PAGE_TABLE), page_directory_pointers
    movl $page_directory, %edi
    movl $PAGE_LARGE, %eax
    movl $IDENTITY_LARGE_PAGES, %ecx
map_large_page:
    movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $LARGE_SIZE, %eax
    addl $8, %edi
    loop map_large_page
    movl $(demand_page_table + PAGE_TABLE), page_directory + 8 * DEMAND_SLOT

    movl %cr4, %eax
    orl $0x20, %eax                             /* PAE */
    movl %eax, %cr4
    movl $page_map, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                      /* EFER */
    rdmsr
    orl $0x101, %eax                            /* long mode, syscall */
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax                       /* paging, protection */
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $start64
    .size start32, . - start32

    .code64
    .type start64, @function
start64:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    call kernel_main
stop:
    cli
    hlt
    jmp stop
    .size start64, . - start64

    .data
    .align 16
gdt:
    .quad 0
    .quad 0x00af9a000000ffff                    /* 08: kernel code */
    .quad 0x00cf92000000ffff                    /* 10: kernel data */
    .quad 0x00cffa000000ffff                    /* 18: base of sysret's selectors */
    .quad 0x00cff2000000ffff                    /* 20: user data */
    .quad 0x00affa000000ffff                    /* 28: user code */
    .globl tss_descriptor
tss_descriptor:
    .quad 0, 0                                  /* 30: task state segment */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

    .bss
    .align 4096
page_map:
    .skip 4096
page_directory_pointers:
    .skip 4096
page_directory:
    .skip 4096
    .globl demand_page_table
demand_page_table:
    .skip 4096
    .skip 16384
boot_stack_top:
    .skip 16384
    .globl trap_stack_top
trap_stack_top:

    .section .note.GNU-stack, "", @progbits
