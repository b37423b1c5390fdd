/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * truth.c - a QEMU plugin that draws random places of a run and prints the whole state of the processor at each. It shares
 * no code with the recorder, and uses no breakpoint and no debugger: it is called before every instruction of one run from
 * begin to end, in which each instruction is a translation block of its own (one-insn-per-tb; QEMU 7.2: -singlestep).
 *
 *     -plugin truth.so,out=FILE,seed=N,last=N,each=N
 *
 * `each` places of each class are drawn among all of the class up to instruction `last`, each with the same probability
 * (reservoir sampling). The file has, for each place, a line
 *
 *     place CLASS ICOUNT BRCTR [IP CS FLAGS SP SS]
 *
 * and then QEMU's own text of all registers (cpu_dump_state, which is no part of the plugin interface). ICOUNT is the number
 * of instructions begun before. The classes are those of the step that leads to the place:
 *
 *     sequence     to the next instruction
 *     repeat       to the next iteration of a repeated string instruction
 *     branch       a branch, call, return, system call or software interrupt
 *     interrupt    to a handler, after an instruction or between iterations
 *     fault        to a handler: the instruction before did not complete (or the next one could not be fetched)
 *     other        any other jump; frames of 16-bit and 32-bit handlers
 *
 * `before-interrupt` and `before-fault` are the same moments before the delivery. The state then differs from the handler's in
 * what the processor pushed: the five numbers of the line. cr2 of a page fault is not known.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../hypervisor/qemu/plugin/qemu_plugin_api.h"

QEMU_EXPORT int qemu_plugin_version = 1;

/* QEMU's own functions. */
static void *(*get_cpu)(int index);
static void (*dump_state)(void *cpu, FILE *file, int flags);
static int (*read_memory)(void *cpu, uint64_t address, void *bytes, size_t size, bool write);
#define DUMP_FPU 0x20000

enum class { SEQUENCE, REPEAT, BRANCH, INTERRUPT, FAULT, OTHER, BEFORE_INTERRUPT, BEFORE_FAULT, CLASSES };
static const char *const names[CLASSES] = {"sequence", "repeat", "branch",           "interrupt",
                                           "fault",    "other",  "before-interrupt", "before-fault"};

struct place {
    uint64_t icount, brctr, frame[5];
    bool has_frame;
    char *text;
};

/* An instruction as it was translated. */
struct site {
    uint64_t address;
    uint8_t size;
    bool branches, repeats, halts;
};

static struct {
    struct place *places[CLASSES];
    uint64_t seen[CLASSES];
    uint64_t each, last, seed;
    const char *out;
    struct qemu_plugin_register *rip;
    GByteArray *bytes;
} truth = {.each = 100, .last = UINT64_MAX, .seed = 1, .out = "/dev/stdout"};

/* The last instruction that began, and the counts after it. */
static struct site before;
static uint64_t before_ip;
static uint64_t icount, brctr, restarts;

static uint64_t next_random(void) {
    truth.seed ^= truth.seed << 13; /* xorshift64, Marsaglia 2003 */
    truth.seed ^= truth.seed >> 7;
    truth.seed ^= truth.seed << 17;
    return truth.seed;
}

/* Draws the place that the guest is at, or does not. */
static void draw(enum class class, uint64_t at, uint64_t transitions, const uint64_t *frame) {
    if (at >= truth.last) {
        return;
    }
    uint64_t number = truth.seen[class]++;
    uint64_t index = number < truth.each ? number : next_random() % (number + 1);
    if (index >= truth.each) {
        return;
    }
    struct place *place = &truth.places[class][index];
    free(place->text);
    *place = (struct place){.icount = at, .brctr = transitions, .has_frame = frame != NULL};
    if (frame) {
        memcpy(place->frame, frame, sizeof place->frame);
    }
    size_t size;
    FILE *text = open_memstream(&place->text, &size);
    dump_state(get_cpu(0), text, DUMP_FPU);
    fclose(text);
}

static uint64_t register_rip(void) {
    uint64_t value = 0;
    truth.bytes->len = 0; /* QEMU appends */
    qemu_plugin_read_register(truth.rip, truth.bytes);
    memcpy(&value, truth.bytes->data, truth.bytes->len < 8 ? truth.bytes->len : 8);
    return value;
}

/* The stack's first six words, as a handler of 64-bit code finds them: with or without an error code. */
static bool read_frame(uint64_t words[6]) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    dump_state(get_cpu(0), file, 0);
    fclose(file);
    const char *rsp = strstr(text, "RSP=");
    bool good = rsp && strstr(text, "CS64") &&
                read_memory(get_cpu(0), strtoull(rsp + 4, NULL, 16), words, 6 * sizeof *words, false) == 0;
    free(text);
    return good;
}

static bool is_selector(uint64_t word) {
    return word != 0 && word < 0x100;
}

static void arrive(void) {
    uint64_t frame[6];
    brctr++;
    if (before.branches || !read_frame(frame)) {
        draw(before.branches ? BRANCH : OTHER, icount, brctr, NULL);
        return;
    }
    uint64_t next = before_ip + before.size;
    bool has_code = (frame[1] == before_ip || frame[1] == next) && is_selector(frame[2]);
    const uint64_t *pushed = frame + (has_code ? 1 : 0);
    if (!is_selector(pushed[1]) || (pushed[0] != before_ip && pushed[0] != next)) {
        draw(OTHER, icount, brctr, NULL);
    } else if (!has_code && (pushed[0] == next || before.repeats)) {
        draw(INTERRUPT, icount, brctr, NULL);
        if (!before.halts) {
            draw(BEFORE_INTERRUPT, icount, brctr - 1, pushed);
        }
    } else {
        draw(FAULT, icount, brctr, NULL);
        if (pushed[0] == before_ip) {
            draw(BEFORE_FAULT, icount - 1, brctr - 1, pushed);
        }
    }
}

static void print_places(void) {
    FILE *file = fopen(truth.out, "w");
    if (!file) {
        return;
    }
    fprintf(file, "end %" PRIu64 " %" PRIu64 " restarts %" PRIu64 "\n", icount, brctr, restarts);
    for (int class = 0; class < CLASSES; class++) {
        fprintf(file, "class %s %" PRIu64 "\n", names[class], truth.seen[class]);
        for (uint64_t i = 0; i < truth.each && i < truth.seen[class]; i++) {
            const struct place *place = &truth.places[class][i];
            if (!place->text) {
                continue;
            }
            fprintf(file, "place %s %" PRIu64 " %" PRIu64, names[class], place->icount, place->brctr);
            for (int word = 0; word < 5 && place->has_frame; word++) {
                fprintf(file, " %" PRIx64, place->frame[word]);
            }
            fprintf(file, "\n%s", place->text);
        }
    }
    fclose(file);
}

static void on_instruction(unsigned vcpu, void *userdata) {
    (void)vcpu;
    const struct site *site = userdata;
    uint64_t ip = site->address;
    if (truth.rip && !before.branches && site->address == before.address + before.size &&
        site->address >> 12 == before.address >> 12) {
        ip = before_ip + before.size;
    } else if (truth.rip) { /* QEMU 10 shares a translation between addresses; 16-bit code is at cs base + ip */
        uint64_t rip = register_rip();
        ip = rip < 0x10000 ? ip : rip;
    }
    if (icount == 0 || ip == before_ip + before.size) {
        draw(SEQUENCE, icount, brctr, NULL);
    } else if (ip == before_ip && before.repeats) {
        draw(REPEAT, icount, brctr, NULL);
    } else if (ip == before_ip && !before.branches) {
        restarts++; /* QEMU begins an instruction again: a store into itself */
        icount--;
    } else {
        arrive();
    }
    before = *site;
    before_ip = ip;
    icount++;
    if (icount == truth.last) {
        print_places();
        _exit(0); /* the rest of the run is of no interest */
    }
}

/* What the classes need to know of an instruction. In 64-bit code 40 to 4f are prefixes; in other code they are whole
 * instructions. */
static void describe(struct site *site, const uint8_t *bytes) {
    size_t at = 0;
    bool repeats = false;
    for (; at < site->size && (memchr("\x66\x67\x2e\x36\x3e\x26\x64\x65\xf0\xf2\xf3", bytes[at], 11) ||
                               (bytes[at] & 0xf0) == 0x40);
         at++) {
        repeats |= bytes[at] == 0xf2 || bytes[at] == 0xf3;
    }
    if (at == site->size) {
        return;
    }
    uint8_t code = bytes[at], second = at + 1 < site->size ? bytes[at + 1] : 0;
    uint8_t extension = second >> 3 & 7;
    site->halts = code == 0xf4;
    site->repeats = repeats && ((code >= 0x6c && code <= 0x6f) || (code >= 0xa4 && code <= 0xa7) ||
                                (code >= 0xaa && code <= 0xaf));
    site->branches =
        (code >= 0x70 && code <= 0x7f) || (code >= 0xe0 && code <= 0xe3) || (code >= 0xe8 && code <= 0xeb) ||
        memchr("\x9a\xc2\xc3\xca\xcb\xcc\xcd\xce\xcf\xf1", code, 10) != NULL ||
        (code == 0xff && extension >= 2 && extension <= 5) ||
        (code == 0x0f && ((second >= 0x80 && second <= 0x8f) || second == 0x05 || second == 0x07 || second == 0x34 ||
                          second == 0x35 || second == 0xaa)) ||
        (code == 0x0f && second == 0x22); /* mov to cr0: 16-bit code becomes 32-bit code */
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        struct site *site = calloc(1, sizeof *site);
        uint8_t bytes[16] = {0};
        size_t size = qemu_plugin_insn_size(insn);
        size = size < sizeof bytes ? size : sizeof bytes;
        if (qemu_plugin_read_register) {
            size_t (*copy)(const struct qemu_plugin_insn *, void *, size_t);
            const void *(*function)(const struct qemu_plugin_insn *) = qemu_plugin_insn_data;
            memcpy(&copy, &function, sizeof copy);
            copy(insn, bytes, size);
        } else {
            memcpy(bytes, qemu_plugin_insn_data(insn), size);
        }
        site->address = qemu_plugin_insn_vaddr(insn);
        site->size = (uint8_t)size;
        describe(site, bytes);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_R_REGS, site);
    }
}

static void on_vcpu_start(qemu_plugin_id_t id, unsigned vcpu) {
    (void)id;
    (void)vcpu;
    truth.bytes = g_byte_array_new();
    const GArray *list = qemu_plugin_get_registers();
    const qemu_plugin_reg_descriptor *descriptors = (const void *)list->data;
    for (unsigned i = 0; i < list->len; i++) {
        if (strcmp(descriptors[i].name, "rip") == 0) {
            truth.rip = descriptors[i].handle;
        }
    }
}

static void on_end(qemu_plugin_id_t id, void *userdata) {
    (void)id;
    (void)userdata;
    print_places();
}

__attribute__((constructor)) static void choose_version(void) {
    qemu_plugin_version = qemu_plugin_mem_get_value ? 4 : 1; /* QEMU 10 and 7.2 */
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    get_cpu = (void *(*)(int))dlsym(RTLD_DEFAULT, "qemu_get_cpu");
    dump_state = (void (*)(void *, FILE *, int))dlsym(RTLD_DEFAULT, "cpu_dump_state");
    read_memory = (int (*)(void *, uint64_t, void *, size_t, bool))dlsym(RTLD_DEFAULT, "cpu_memory_rw_debug");
    if (!get_cpu || !dump_state || !read_memory) {
        fprintf(stderr, "truth: this QEMU does not export what the plugin needs\n");
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) {
            return -1;
        }
        value++;
        switch (argv[i][0]) {
        case 'o':
            truth.out = strdup(value); /* QEMU's own */
            break;
        case 's':
            truth.seed = strtoull(value, NULL, 0) | 1ull << 63; /* not 0 */
            break;
        case 'l':
            truth.last = strtoull(value, NULL, 0);
            break;
        default:
            truth.each = strtoull(value, NULL, 0);
            break;
        }
    }
    for (int class = 0; class < CLASSES; class++) {
        truth.places[class] = calloc(truth.each, sizeof *truth.places[class]);
    }
    if (qemu_plugin_get_registers) {
        qemu_plugin_register_vcpu_init_cb(id, on_vcpu_start);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
