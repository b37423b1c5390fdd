// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession

/// The task that runs on one side at the beginning of a window.
struct RunningTask {
    let kernel: GuestKernel
    let tables: PageTables
    /// The physical address of the pointer to the running task.
    let place: UInt64
    /// The pointer.
    let address: UInt64

    /// Reads a stopped guest; nil if its kernel is not known, or has no tasks yet.
    init?(_ side: ReplaySide, _ kernel: GuestKernel?) throws {
        guard let kernel, let tables = PageTables(try side.registers(), side.memory) else { return nil }
        let reader = TaskReader(kernel: kernel, tables: tables)
        guard let place = reader.currentPlace.flatMap(tables.physical), let address = reader.current else { return nil }
        (self.kernel, self.tables, self.place, self.address) = (kernel, tables, place, address)
    }

    /// The task that ran when an instruction of the window began. The guest is stopped at the window's end.
    func task(at index: Int, of trace: WindowTrace, _ side: ReplaySide) -> ZoomResult.Task? {
        let address = trace.lastStore(to: place, before: index) ?? address
        // The process that ran at the window's start may have ended, and its page tables with it.
        let now = (try? side.registers()).flatMap { PageTables($0, side.memory) }
        for tables in [now, tables] {
            if let tables, let task = TaskReader(kernel: kernel, tables: tables).task(at: address) { return task }
        }
        return nil
    }
}

extension Search {
    /// The tasks that run on both sides now.
    func runningTasks() throws -> (original: RunningTask?, replay: RunningTask?) {
        (
            try RunningTask(sides.original, zoom.options.kernels.original),
            try RunningTask(sides.replay, zoom.options.kernels.replay)
        )
    }

    /// Keeps the tasks that ran when an instruction of the window began. Both sides are stopped at the window's end.
    func noteTasks(_ window: Window, at index: Int) {
        zoom.result.running = (
            window.tasks.original?.task(at: index, of: window.pair.original, sides.original),
            window.tasks.replay?.task(at: index, of: window.pair.replay, sides.replay)
        )
    }
}
