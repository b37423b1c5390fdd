/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session.h - the begin and the end of the recording, and the reaction when QEMU drops its translations.
 */
#ifndef TTD_SESSION_H
#define TTD_SESSION_H

#include "options.h"

/* Creates the log. A failure is reported on stderr and leaves a recorder that only counts. */
void ttd_session_start(const struct ttd_options *options);

/* The vCPU starts: from here on counters and registers exist. Called where blocks are shared. */
void ttd_session_start_vcpu(void);

/* Closes the log. Any thread may call it, possibly while the guest runs. */
void ttd_session_finish(void);

/* Forgets all blocks: QEMU has dropped its translations. */
void ttd_session_flush(void);

#endif
