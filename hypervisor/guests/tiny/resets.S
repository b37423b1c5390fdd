/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resets.S - a 32-bit PVH guest that resets the machine, once or twice, and then ends QEMU. A CMOS byte that survives a
 * reset counts the resets.
 *
 *     BY=1   port 0xcf9
 *     BY=2   the keyboard controller
 *     BY=3   a triple fault, twice
 *     BY=4   nothing: it waits for the operator's reset
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18                  /* size of the name, size of the value, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long entry

    .set COUNTER, 0x50
#if BY == 3
    .set RESETS, 2
#else
    .set RESETS, 1
#endif

    .section .text.start, "ax", @progbits
    .code32
    .globl entry
    .type entry, @function
entry:
    cli
    movl $stack_top, %esp
    call work
    movb $COUNTER, %al
    outb %al, $0x70
    inb $0x71, %al
    cmpb $RESETS, %al
    jae end
    incb %al
    outb %al, $0x71
    call work
#if BY == 1
    movw $0xcf9, %dx
    movb $6, %al
    outb %al, %dx
#elif BY == 2
    movb $0xfe, %al
    outb %al, $0x64
#elif BY == 3
    lidt empty
    int3
#elif BY == 4
    movb $'W', %al
    movw $0x3f8, %dx
    outb %al, %dx
1:  call work
    jmp 1b
#endif
2:  hlt
    jmp 2b
end:
    movb $'E', %al
    movw $0x3f8, %dx
    outb %al, %dx
    xorl %eax, %eax
    movw $0xf4, %dx
    outl %eax, %dx
    jmp 2b
    .size entry, . - entry

    .type work, @function
work:
    movl $2000, %ecx
1:  call leaf
    loop 1b
    ret
    .size work, . - work

    .type leaf, @function
leaf:
    nop
    ret
    .size leaf, . - leaf

    .data
empty:
    .word 0
    .long 0

    .bss
    .align 16
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
