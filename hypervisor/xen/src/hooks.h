/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recording and replaying a guest: what the rest of Xen calls.
 *
 * Whatever a guest without devices can observe comes through an exit, through
 * memory that somebody else writes, or through an interrupt.  The hooks below
 * see all three.  v->arch.hvm.ttd, or v->arch.pv.ttd of PV guests, is NULL for
 * vCPUs of guests that are neither recorded nor replayed: one predictable test a
 * hook.
 */
#ifndef __ASM_X86_HVM_TTD_H__
#define __ASM_X86_HVM_TTD_H__

/* What ttd_pv_before_entry() says. */
#define TTD_PV_ENTER  0     /* enter the guest; interrupts are disabled */
#define TTD_PV_UPCALL 1     /* make the frame of an upcall first */
#define TTD_PV_AGAIN  2     /* look at softirqs and exceptions again */

#ifndef __ASSEMBLY__

#include <xen/sched.h>
#include "ttd_xen.h"

#ifdef CONFIG_HVM

#define ttd_active(v) unlikely((v)->arch.hvm.ttd != NULL)

/*
 * Start of the exit handler, before the exit is looked at.  True: the handler
 * must do nothing; the guest's state is put in place before the next entry.
 */
bool ttd_exit(struct cpu_user_regs *regs);

/*
 * Where interrupts are chosen for delivery, before softirqs are looked at;
 * possibly several times an entry.  True: do not deliver any.
 */
bool ttd_before_entry(void);

/* Last before the entry, with interrupts disabled. */
void ttd_entry(struct cpu_user_regs *regs);

/*
 * With interrupts disabled, when softirqs are pending before an entry.
 * True: enter the guest first.
 */
bool ttd_defer_softirqs(void);

/* The vCPU makes room for another one, which is not the idle vCPU. */
void ttd_switched(struct vcpu *v);

/*
 * PV guests: an exception, a hypercall or a system call of a program, before it
 * is handled.  True: as for ttd_exit().
 */
#define ttd_pv_active(v) unlikely((v)->arch.pv.ttd != NULL)
bool ttd_pv_exit(struct cpu_user_regs *regs);

/*
 * Before the entry, when softirqs and exceptions are dealt with; possibly several
 * times an entry.  Returns TTD_PV_*.
 */
unsigned int ttd_pv_before_entry(void);

/* As ttd_defer_softirqs(). */
bool ttd_pv_defer_softirqs(void);

/*
 * Xen copied to guest memory; buf is NULL for zeros.  gpa is a linear address of
 * a PV guest.
 */
void ttd_guest_written(struct vcpu *v, paddr_t gpa, const void *buf,
                       unsigned int size);

/*
 * Another domain maps a page of the domain writable, and unmaps it; Xen is
 * about to copy into a page on behalf of another domain.
 */
void ttd_page_mapped(struct domain *d, mfn_t mfn);
void ttd_page_unmapped(struct domain *d, mfn_t mfn);
void ttd_page_written(struct domain *d, mfn_t mfn);

/* Another domain maps a page to read only, or Xen copies out of it for one. */
void ttd_page_read(struct domain *d, mfn_t mfn, unsigned int offset,
                   unsigned int size);

/* The domain's resources are about to go. */
void ttd_domain_gone(struct domain *d);

int ttd_sysctl(struct ttd_op *op);

#else /* !CONFIG_HVM */

#define ttd_active(v) false
#define ttd_pv_active(v) false
#define ttd_pv_exit(regs) false
#define ttd_domain_gone(d) ((void)0)
#define ttd_page_mapped(d, mfn) ((void)0)
#define ttd_page_unmapped(d, mfn) ((void)0)
#define ttd_page_written(d, mfn) ((void)0)
#define ttd_page_read(d, mfn, offset, size) ((void)0)

static inline int ttd_sysctl(struct ttd_op *op)
{
    return -EOPNOTSUPP;
}

#endif /* CONFIG_HVM */

#endif /* __ASSEMBLY__ */

#endif /* __ASM_X86_HVM_TTD_H__ */
