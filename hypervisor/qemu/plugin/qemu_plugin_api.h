/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu_plugin_api.h - the part of QEMU's TCG plugin interface that this plugin uses. It is declared here, because no
 * Debian package ships qemu-plugin.h. Every function is weak, so that one shared object loads into every QEMU
 * generation and can refuse the unknown ones itself (api.c).
 *
 * Source: include/qemu/qemu-plugin.h of QEMU 7.2 (plugin API level 1) and 10.0 (level 4). Comments name the changes of
 * later levels. Levels 6 and 7 (QEMU 11) also change the callbacks: they lose `id`, and registrations gain `userdata`.
 */
#ifndef TTD_QEMU_PLUGIN_API_H
#define TTD_QEMU_PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_EXPORT __attribute__((visibility("default")))
#define QEMU_WEAK __attribute__((weak))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;

/* Filled by QEMU before it calls qemu_plugin_install. */
typedef struct qemu_info_t {
    const char *target_name; /* "x86_64", "i386", ... */
    struct {
        int min; /* oldest plugin API this QEMU accepts */
        int cur; /* its own */
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus;
        int max_vcpus;
    } system;
} qemu_info_t;

typedef struct _GArray {
    char *data;
    unsigned int len;
} GArray; /* GLib's */
typedef struct _GByteArray {
    uint8_t *data;
    unsigned int len;
} GByteArray;

struct qemu_plugin_scoreboard; /* an array with one element a vCPU, QEMU's */
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;

struct qemu_plugin_register;
/* 24 bytes up to level 5; 32 bytes in level 7, which adds is_readonly. */
typedef struct {
    struct qemu_plugin_register *handle;
    const char *name;
    const char *feature;
} qemu_plugin_reg_descriptor;

struct qemu_plugin_tb;     /* a block of guest code that is being translated */
struct qemu_plugin_insn;   /* an instruction in it */
struct qemu_plugin_hwaddr; /* where a memory access went */

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_CB_R_REGS = 1, QEMU_PLUGIN_CB_RW_REGS = 2 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W = 2, QEMU_PLUGIN_MEM_RW = 3 };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 = 0, QEMU_PLUGIN_INLINE_STORE_U64 = 1 /* since level 4 */ };

typedef void (*qemu_plugin_simple_cb_t)(qemu_plugin_id_t id);
typedef void (*qemu_plugin_vcpu_simple_cb_t)(qemu_plugin_id_t id, unsigned int vcpu_index);
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t id, void *userdata);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int vcpu_index, void *userdata);
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_vcpu_mem_cb_t)(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                                          void *userdata);

QEMU_WEAK void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t callback);
QEMU_WEAK void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_simple_cb_t callback);
QEMU_WEAK void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t callback, void *userdata);
QEMU_WEAK void qemu_plugin_register_flush_cb(qemu_plugin_id_t id, qemu_plugin_simple_cb_t callback);
QEMU_WEAK void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_plugin_vcpu_udata_cb_t callback,
                                                    enum qemu_plugin_cb_flags flags, void *userdata);
QEMU_WEAK void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                                      qemu_plugin_vcpu_udata_cb_t callback,
                                                      enum qemu_plugin_cb_flags flags, void *userdata);
/* Level 1 only. */
QEMU_WEAK void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_op op,
                                                          void *pointer, uint64_t immediate);
/* Since level 2. */
QEMU_WEAK void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
                                                                   enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                                   uint64_t immediate);
/* Level 1 only. */
QEMU_WEAK void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_mem_rw rw,
                                                    enum qemu_plugin_op op, void *pointer, uint64_t immediate);
/* Since level 2. */
QEMU_WEAK void qemu_plugin_register_vcpu_mem_inline_per_vcpu(struct qemu_plugin_insn *insn, enum qemu_plugin_mem_rw rw,
                                                             enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                             uint64_t immediate);
QEMU_WEAK void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_mem_cb_t callback,
                                                enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                                void *userdata);

QEMU_WEAK size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
QEMU_WEAK uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
QEMU_WEAK struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
/* Levels 1 and 2. Since level 3: size_t (insn, void *destination, size_t size), which copies. */
QEMU_WEAK const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
QEMU_WEAK size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
QEMU_WEAK uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

QEMU_WEAK unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
QEMU_WEAK bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
QEMU_WEAK struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr);
QEMU_WEAK bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
QEMU_WEAK uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* Since level 2, QEMU 9.0. The element of a vCPU is available once the vCPU exists. */
QEMU_WEAK struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
QEMU_WEAK void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu_index);

/* Since level 4: the value that was read or written. */
typedef struct {
    int type; /* enum qemu_plugin_mem_value_type: 0 = 8 bits, then 16, 32, 64, 128 */
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct {
            uint64_t low;
            uint64_t high;
        } u128;
    } data;
} qemu_plugin_mem_value;
QEMU_WEAK qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info);

/* Since level 4 (registers: 3 in part). Of the current vCPU: from the vCPU's own callbacks. */
QEMU_WEAK GArray *qemu_plugin_get_registers(void);
/* Appends the value; returns its size. Since level 6 a bool. */
QEMU_WEAK int qemu_plugin_read_register(struct qemu_plugin_register *handle, GByteArray *value);
QEMU_WEAK bool qemu_plugin_read_memory_vaddr(uint64_t address, GByteArray *data, size_t size);

/* Since level 6, QEMU 11. Declared only to test whether it exists. */
QEMU_WEAK void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t);

QEMU_WEAK GByteArray *g_byte_array_new(void);

#endif
