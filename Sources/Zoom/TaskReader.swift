// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession
import Symbolize

/// A Linux kernel that a side runs: where its tasks are, and where it was loaded.
public struct GuestKernel: Sendable, Hashable {
    /// Where the kernel keeps its tasks.
    public var tasks: LinuxTasks
    /// What was added to the file's addresses.
    public var slide: Int64

    /// A kernel.
    public init(tasks: LinuxTasks, slide: Int64) {
        self.tasks = tasks
        self.slide = slide
    }

    /// The Linux kernel among the files of a run; nil if there is none with DWARF.
    public static func find(in symbolizer: Symbolizer) -> GuestKernel? {
        for module in symbolizer.modules where !module.isKernelModule && !module.range.isEmpty {
            // A file that is no kernel, or has no DWARF, names no task.
            if let tasks = (try? LinuxTasks.find(in: module.path)) ?? nil {
                return GuestKernel(tasks: tasks, slide: module.slide)
            }
        }
        return nil
    }
}

/// Reads the tasks of a stopped Linux guest. All that it reads is the guest's, and bounded.
package struct TaskReader {
    /// Directories of a program's path, at most.
    private static let depth = 16
    /// Bytes of a name in a directory (Linux, NAME_MAX).
    private static let nameLimit = 255
    /// Below this address of a symbol it is an offset in a processor's variables, which are linked to address 0 up to
    /// Linux 6.14.
    private static let lowestLinked: UInt64 = 1 << 31

    let kernel: GuestKernel
    let tables: PageTables

    package init(kernel: GuestKernel, tables: PageTables) {
        self.kernel = kernel
        self.tables = tables
    }

    /// The address of the pointer to the running task; nil if the kernel has not set up its processor yet.
    var currentPlace: UInt64? {
        let slide = UInt64(bitPattern: kernel.slide)
        guard let offset = tables.value(at: kernel.tasks.perCPUOffsets &+ slide) else { return nil }
        let variable = kernel.tasks.currentTask
        return variable < TaskReader.lowestLinked ? variable &+ offset : variable &+ slide &+ offset
    }

    /// The address of the running task.
    package var current: UInt64? { currentPlace.flatMap { tables.value(at: $0) } }

    /// What the kernel knows about a task.
    package func task(at address: UInt64) -> ZoomResult.Task? {
        let layout = kernel.tasks
        guard let name = tables.text(at: address &+ layout.name, limit: layout.nameSize),
            let process = tables.value(at: address &+ layout.process, bytes: 4),
            let group = tables.value(at: address &+ layout.group, bytes: 4)
        else { return nil }
        return ZoomResult.Task(
            name: name, process: Int32(truncatingIfNeeded: process), group: Int32(truncatingIfNeeded: group),
            program: program(ofTask: address))
    }

    /// The path of a task's program in its file system; nil for a task of the kernel.
    private func program(ofTask address: UInt64) -> String? {
        guard let layout = kernel.tasks.program else { return nil }
        func follow(_ address: UInt64) -> UInt64? {
            tables.value(at: address).flatMap { $0 == 0 ? nil : $0 }
        }
        guard let memory = follow(address &+ kernel.tasks.memory), let file = follow(memory &+ layout.file),
            var entry = follow(file &+ layout.entry)
        else { return nil }
        var names: [String] = []
        while names.count < TaskReader.depth {
            guard let parent = follow(entry &+ layout.parent) else { return nil }
            // The root of a file system is its own parent.
            if parent == entry { return "/" + names.reversed().joined(separator: "/") }
            guard let text = follow(entry &+ layout.name),
                let length = tables.value(at: entry &+ layout.length, bytes: 4),
                let name = tables.text(at: text, limit: Int(min(length, UInt64(TaskReader.nameLimit))))
            else { return nil }
            names.append(name)
            entry = parent
        }
        return "…/" + names.reversed().joined(separator: "/")
    }
}
