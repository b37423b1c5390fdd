/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * restarts.S - a 32-bit PVH guest whose data are on the page of its code: QEMU restarts instructions that store there.
 * Three times it runs one disturbance, then int 0x80.
 *
 *     KIND=1   single stores to another part of the page
 *     KIND=2   rep stosb to another part of the page
 *     KIND=3   a store into the block that runs
 *     KIND=4   rep stosb to another page: no restart
 *     KIND=5   rep movsb over its own bytes
 *     KIND=6   into, with overflow set: QEMU also counts the instructions of its block that follow it
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18                  /* size of the name, size of the value, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long entry

    .section .code, "awx", @progbits
    .code32
    .globl entry
    .type entry, @function
entry:
    cli
    movl $stack_top, %esp
    lgdt gdt_pointer
    ljmp $8, $1f
1:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $handler, %eax
    movl $idt + 8 * 4, %edi         /* into */
    call set_gate
    movl $idt + 8 * 0x80, %edi
    call set_gate
    lidt idt_pointer
    movl $3, %ebp
again:
    call disturb
    int $0x80
    decl %ebp
    jnz again
    movw $0xf4, %dx
    xorl %eax, %eax
    outl %eax, %dx
2:  hlt
    jmp 2b
    .size entry, . - entry

    /* eax: the handler. edi: the gate. */
    .type set_gate, @function
set_gate:
    movw %ax, (%edi)
    movw $8, 2(%edi)
    movw $0x8e00, 4(%edi)
    pushl %eax
    shrl $16, %eax
    movw %ax, 6(%edi)
    popl %eax
    ret
    .size set_gate, . - set_gate

    .type handler, @function
handler:
    iret
    .size handler, . - handler

    .type disturb, @function
disturb:
#if KIND == 1
    movl $1, near
    movl $2, near + 4
#elif KIND == 2
    movl $near, %edi
    movl $40, %ecx
    xorl %eax, %eax
    cld
    rep stosb
#elif KIND == 3
    movb $0x90, patched
    nop
patched:
    nop
#elif KIND == 4
    movl $far, %edi
    movl $40, %ecx
    xorl %eax, %eax
    cld
    rep stosb
#elif KIND == 5
    movl $self, %esi
    movl $self, %edi
    movl $16, %ecx
    cld
self:
    rep movsb
    nop
#elif KIND == 6
    movb $0x7f, %al
    addb $1, %al
    into
    nop
    nop
    nop
#endif
    ret
    .size disturb, . - disturb

near:
    .skip 64
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 0x407
    .long idt

    .bss
    .align 4096
idt:
    .skip 0x800
far:
    .skip 64
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
