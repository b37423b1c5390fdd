// SPDX-License-Identifier: GPL-2.0-or-later
// The structures of a Linux kernel that the readers of a guest's memory follow, with a few tasks, modules and messages. Its
// DWARF is the kernel's file of the harness, its loaded bytes are the guest's memory.
struct list_head { struct list_head *next, *prev; };
struct signal_struct { struct list_head thread_head; };
struct task_struct {
    unsigned __state;
    int exit_state;
    struct list_head tasks;
    int pid, tgid;
    struct task_struct *real_parent;
    struct signal_struct *signal;
    struct list_head thread_node;
    struct mm_struct *mm;
    char comm[16];
};
struct module {
    int state;
    struct list_head list;
    char name[56];
    struct { void *base; unsigned size; } core_layout;
};
struct prb_data_blk_lpos { unsigned long begin, next; };
typedef struct { long counter; } atomic_long_t;
struct prb_desc { atomic_long_t state_var; struct prb_data_blk_lpos text_blk_lpos; };
struct printk_info { unsigned long seq, ts_nsec; unsigned short text_len; };
struct prb_desc_ring {
    unsigned count_bits;
    struct prb_desc *descs;
    struct printk_info *infos;
    atomic_long_t head_id, tail_id;
};
struct prb_data_ring { unsigned size_bits; char *data; };
struct printk_ringbuffer { struct prb_desc_ring desc_ring; struct prb_data_ring text_data_ring; };

extern struct task_struct init_task, second;
struct signal_struct first_signal = {{&init_task.thread_node, &init_task.thread_node}};
struct signal_struct second_signal = {{&second.thread_node, &second.thread_node}};
struct task_struct init_task = {
    .tasks = {&second.tasks, &second.tasks}, .real_parent = &init_task, .signal = &first_signal,
    .thread_node = {&first_signal.thread_head, &first_signal.thread_head}, .comm = "swapper",
};
struct task_struct second = {
    .tasks = {&init_task.tasks, &init_task.tasks}, .pid = 1, .tgid = 1, .real_parent = &init_task,
    .signal = &second_signal, .thread_node = {&second_signal.thread_head, &second_signal.thread_head}, .comm = "init",
};
struct task_struct *current_task = &second;
unsigned long __per_cpu_offset[1];

extern struct list_head modules;
struct module loaded = {
    .list = {&modules, &modules}, .name = "ext4", .core_layout = {(void *)0xffffffffc0000000, 4096},
};
struct list_head modules = {&loaded.list, &loaded.list};

struct { unsigned long number; char text[8]; } texts[4] = {{0, "one"}, {1, "two"}};
struct prb_desc records[4] = {
    {{2l << 62}, {0, 16}}, {{(long)(2ul << 62) | 1}, {16, 32}},
};
struct printk_info infos[4] = {{0, 1000, 3}, {1, 2000000000, 3}};
struct printk_ringbuffer ring = {{2, records, infos, {1}, {0}}, {6, (char *)texts}};
struct printk_ringbuffer *prb = &ring;
