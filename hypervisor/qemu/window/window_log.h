/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * window_log.h - the file that the window plugin shares with the tool that steers QEMU. The tool creates it with its final
 * size and allocates its blocks, because a write to a hole on a full disk would kill QEMU. The file is discarded after the
 * run, so the layout has a version and no compatibility. `WindowLog` in Sources/ReplaySession reads it.
 *
 *     0        struct ttd_window_header
 *     4096     sites: one struct ttd_window_site for each instruction that was translated
 *     ...      the stream: records of 8-byte words, in the order of execution
 *
 * Bits 63 and 62 of a record's first word are its kind:
 *
 *     0  an instruction begins       bits 31-0: its site
 *     1  it accesses memory          bit 61: store; 60: device; 59-56: log2 of the bytes; 55-0: physical address;
 *                                    second word: virtual address; third: the value, 0 where it is unknown
 *     2  the addresses move          second word: what to add to the addresses of sites from here on
 *
 * An access of 16 bytes has two records. An instruction that faults has a record each time it begins.
 */
#ifndef TTD_WINDOW_LOG_H
#define TTD_WINDOW_LOG_H

#include <stdint.h>

#define TTD_WINDOW_MAGIC 0x31776f646e697774ull /* "twindow1" */
#define TTD_WINDOW_SITES_AT 4096

enum ttd_window_kind { TTD_WINDOW_INSTRUCTION = 0, TTD_WINDOW_MEMORY = 1, TTD_WINDOW_SHIFT = 2 };

/* QEMU 7.2 keeps a pointer to the memory callbacks of the last instruction that called a helper and ended its block. Loading
 * a checkpoint frees them, and the next access by a helper would abort QEMU (mended in QEMU 8.0). In the mode
 * TTD_WINDOW_PRIMES blocks get callbacks that log nothing: the end of the first block makes the pointer a good one. */
enum ttd_window_mode { TTD_WINDOW_SLEEPS = 0, TTD_WINDOW_LOGS = 1, TTD_WINDOW_PRIMES = 2 };

#define TTD_WINDOW_STORE (1ull << 61)
#define TTD_WINDOW_DEVICE (1ull << 60)

struct ttd_window_header {
    uint64_t magic;         /* set by the tool */
    uint64_t site_capacity; /* set by the tool */
    uint64_t stream_words;  /* set by the tool: the size of the stream */
    uint64_t mode;          /* set by the tool while the guest is paused: enum ttd_window_mode */
    uint64_t is_loaded;     /* set by the plugin when QEMU has loaded it */
    uint64_t sites;         /* in use */
    uint64_t words;         /* of the stream, written */
    uint64_t instructions;  /* logged */
    uint64_t lost;          /* records that found no room */
};

struct ttd_window_site {
    uint64_t address; /* at translation */
    uint8_t size;
    uint8_t bytes[15];
};

#endif
