/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state of a writer: its error, the number of lost records, the time spent waiting.
 */
#include "ttlog_internal.h"

int ttlog_writer_error(const ttlog_writer *writer) {
    return __atomic_load_n(&writer->error, __ATOMIC_RELAXED);
}

uint64_t ttlog_writer_lost(const ttlog_writer *writer) {
    uint64_t lost = writer->lost_before;
    for (int stream = 0; stream < 8 && writer->open_header != NULL; stream++)
        lost += __atomic_load_n(&writer->open_header->lost[stream], __ATOMIC_RELAXED);
    return lost;
}

uint64_t ttlog_writer_stall_ns(ttlog_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    uint64_t stall = writer->stall_ns;
    pthread_mutex_unlock(&writer->lock);
    return stall;
}
