// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession
import Symbolize
import Zoom

/// A stopped Linux guest, read from its memory: tasks, kernel modules, messages.
///
///     let linux = try LinuxGuest(session, symbolizer)
///     for task in try linux.tasks() { print(task.process, task.name) }
///
/// All that is read is the guest's, which may be hostile: lists have a limit, and an address that is not mapped ends one.
struct LinuxGuest {
    /// Tasks and modules, at most.
    static let listLimit = 1 << 16

    let tables: PageTables
    let memory: GuestMemory
    /// The kernel's file and what was added to its addresses; nil without a file.
    let kernel: (path: String, slide: UInt64)?

    /// What the kernel's file says about variables and structures.
    func layout(variables: Set<String>, structures: Set<String>) throws -> KernelLayout {
        guard let kernel else { throw PlaceError("no symbols are known: give --symbols with the kernel's vmlinux") }
        return try KernelLayout.find(in: kernel.path, variables: variables, structures: structures)
    }

    /// The run-time address of a variable.
    func address(_ name: String, _ layout: KernelLayout) throws -> UInt64 {
        guard let kernel, let address = layout.variables[name] else {
            throw PlaceError("the symbol file has no variable \(name): it is no Linux kernel's")
        }
        return address &+ kernel.slide
    }

    /// The offset of a member.
    func offset(_ structure: String, _ member: String, _ layout: KernelLayout) throws -> UInt64 {
        guard let offset = layout.offset(structure, member) else {
            throw PlaceError("the symbol file has no member \(member) of struct \(structure)")
        }
        return offset
    }

    /// The addresses of the elements of a list (include/linux/list.h), each of its `next` pointer.
    ///
    /// - Parameters:
    ///   - head: the address of the list's own `next` pointer.
    ///   - limit: elements after this many are left out.
    func list(_ head: UInt64, limit: Int = LinuxGuest.listLimit) -> [UInt64] {
        var found: [UInt64] = []
        var link = tables.value(at: head)
        while let here = link, here != head, here != 0, found.count < limit {
            found.append(here)
            link = tables.value(at: here)
        }
        return found
    }
}

// MARK: - Tasks

/// A task of a Linux guest.
public struct GuestTask: Encodable, Hashable, Sendable {
    /// The thread's number and its process's.
    public var (thread, process): (Int32, Int32)
    /// The process's parent; nil if it cannot be read.
    public var parent: Int32?
    /// The letter that `ps` shows: R, S, D, T, t, X, Z, P, I.
    public var state: String
    /// Whether it runs now.
    public var isRunning: Bool
    /// The name.
    public var name: String
    /// The address of its `struct task_struct`.
    public var address: String

    private enum CodingKeys: String, CodingKey { case thread, process, parent, state, isRunning, name, address }

    /// A row of a table.
    var row: String {
        func padded(_ value: Int32?) -> String {
            let text = value.map(String.init) ?? "?"
            return String(repeating: " ", count: max(0, 7 - text.count)) + text
        }
        return
            "\(isRunning ? ">" : " ")\(padded(thread))\(padded(process))\(padded(parent))  \(state)  \(address)  \(name)"
    }

    static let header = "  thread process parent  state  task_struct        name"
}

extension LinuxGuest {
    /// All threads of all processes, and the idle task of the first processor.
    func tasks() throws -> [GuestTask] {
        let layout = try layout(
            variables: ["init_task", "__per_cpu_offset", "current_task", "pcpu_hot"],
            structures: ["task_struct", "signal_struct"])
        let first = try address("init_task", layout)
        let tasks = try offset("task_struct", "tasks.next", layout)
        let reader = try TaskFields(self, layout)
        let running = GuestKernel.current(layout, self)
        let leaders = [first] + list(first &+ tasks).map { $0 &- tasks }
        var found: [GuestTask] = []
        var left = LinuxGuest.listLimit
        for leader in leaders where left > 0 {
            let threads = reader.threads(of: leader, limit: left)
            left -= threads.count
            found += threads.compactMap { reader.task(at: $0, running: running) }
        }
        guard !found.isEmpty else { throw PlaceError("the kernel has no tasks yet") }
        return found
    }
}

/// The members of `struct task_struct` that are read.
private struct TaskFields {
    let guest: LinuxGuest
    let (name, process, group, state, exit, parent, signal): (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
    let (threads, thread): (UInt64, UInt64)

    init(_ guest: LinuxGuest, _ layout: KernelLayout) throws {
        self.guest = guest
        func offset(_ member: String) throws -> UInt64 { try guest.offset("task_struct", member, layout) }
        name = try offset("comm")
        process = try offset("pid")
        group = try offset("tgid")
        // Linux 5.14 gave it another name.
        state = try (try? offset("__state")) ?? offset("state")
        exit = try offset("exit_state")
        parent = try offset("real_parent")
        signal = try offset("signal")
        thread = try offset("thread_node.next")
        threads = try guest.offset("signal_struct", "thread_head.next", layout)
    }

    /// The threads of a process, the leader first; at most `limit`, and the leader.
    func threads(of leader: UInt64, limit: Int) -> [UInt64] {
        guard let shared = guest.tables.value(at: leader &+ signal), shared != 0 else { return [leader] }
        let found = guest.list(shared &+ threads, limit: limit).map { $0 &- thread }
        return found.contains(leader) ? found : [leader] + found
    }

    func task(at address: UInt64, running: UInt64?) -> GuestTask? {
        let tables = guest.tables
        guard let text = tables.text(at: address &+ name, limit: 16),
            let own = tables.value(at: address &+ process, bytes: 4),
            let leader = tables.value(at: address &+ group, bytes: 4),
            let bits = tables.value(at: address &+ state, bytes: 4),
            let ended = tables.value(at: address &+ exit, bytes: 4)
        else { return nil }
        let above = tables.value(at: address &+ parent).flatMap { tables.value(at: $0 &+ group, bytes: 4) }
        return GuestTask(
            thread: Int32(truncatingIfNeeded: own), process: Int32(truncatingIfNeeded: leader),
            parent: above.map { Int32(truncatingIfNeeded: $0) }, state: TaskFields.letter(bits | ended),
            isRunning: address == running, name: text, address: "0x\(String(address, radix: 16))")
    }

    /// The state's letter (fs/proc/array.c of Linux 6.1). An idle kernel thread is one that sleeps and counts for no load.
    private static func letter(_ bits: UInt64) -> String {
        if bits & 0x402 == 0x402 { return "I" }
        let letters = [(0x20, "Z"), (0x10, "X"), (0x40, "P"), (0x8, "t"), (0x4, "T"), (0x2, "D"), (0x1, "S")]
        return letters.first { bits & UInt64($0.0) != 0 }?.1 ?? "R"
    }
}

extension GuestKernel {
    /// The running task of the first processor; nil if the kernel has not set up its processor yet.
    fileprivate static func current(_ layout: KernelLayout, _ guest: LinuxGuest) -> UInt64? {
        guard let kernel = guest.kernel, let tasks = (try? LinuxTasks.find(in: kernel.path)) ?? nil else { return nil }
        let found = GuestKernel(tasks: tasks, slide: Int64(bitPattern: kernel.slide))
        return TaskReader(kernel: found, tables: guest.tables).current
    }
}

// MARK: - Modules

/// A module that a Linux guest has loaded.
public struct GuestModule: Encodable, Hashable, Sendable {
    /// Its name, with `_`.
    public var name: String
    /// Where its code begins.
    public var address: String
    /// Bytes of its code and data.
    public var size: Int
    /// `Live`, `Loading` or `Unloading`.
    public var state: String
    /// The addresses of its sections; those of its initialisation are freed when it is `Live`.
    public var sections: [String: String]

    /// A line of /proc/modules.
    var line: String { "\(name) \(size) 0 - \(state) \(address)" }
}

extension LinuxGuest {
    /// The modules, the last loaded one first.
    func modules() throws -> [GuestModule] {
        let layout = try layout(
            variables: ["modules"], structures: ["module", "module_sect_attrs", "module_sect_attr"])
        let head = try address("modules", layout)
        let link = try offset("module", "list.next", layout)
        let name = try offset("module", "name", layout)
        let state = try offset("module", "state", layout)
        // Linux 6.4 gave each kind of memory a place in an array, the code's first.
        let base = try (try? offset("module", "core_layout.base", layout)) ?? offset("module", "mem", layout)
        let size = (try? offset("module", "core_layout.size", layout)) ?? base &+ 8
        // Before the first module is loaded, the list is empty; before it is made, it is zero.
        return list(head).compactMap { here in
            let module = here &- link
            guard let text = tables.text(at: module &+ name, limit: 56), !text.isEmpty,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), let address = tables.value(at: module &+ base),
                let bytes = tables.value(at: module &+ size, bytes: 4),
                let number = tables.value(at: module &+ state, bytes: 4)
            else { return nil }
            let states = ["Live", "Loading", "Unloading", "Loading"]
            return GuestModule(
                name: text, address: "0x\(String(address, radix: 16))", size: Int(bytes),
                state: number < 4 ? states[Int(number)] : "?",
                sections: sections(ofModuleAt: module, layout).mapValues { "0x\(String($0, radix: 16))" })
        }
    }
}
