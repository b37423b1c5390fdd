/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * multiboot.S - a multiboot kernel, which QEMU loads from a 32-bit ELF file only: it calls leaf TURNS times, and ends QEMU.
 */
    .section .code, "ax", @progbits    /* the first 8 KiB of the file */
    .align 4
    .long 0x1badb002, 0, -0x1badb002    /* magic, flags, checksum */

    .section .text.start, "ax", @progbits
    .code32
    .globl entry
    .type entry, @function
entry:
    movl $stack_top, %esp
    movl $TURNS, %ecx
1:  call leaf
    loop 1b
    movw $0xf4, %dx
    xorl %eax, %eax
    outl %eax, %dx
2:  hlt
    jmp 2b
    .size entry, . - entry

    .type leaf, @function
leaf:
    nop
    ret
    .size leaf, . - leaf

    .bss
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
