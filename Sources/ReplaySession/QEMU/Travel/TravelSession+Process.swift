// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// One process only: what the kernel and other processes do is passed over.
///
/// Programs of different processes have the same addresses. The log's context events show which address space is in use at each
/// position. A step out of the process's program into the kernel goes on to where the program continues, and a step back to where
/// it entered the kernel: a fault or an interrupt takes no step, a system call takes one.
extension TravelSession {
    /// Tells user code from a kernel's: the upper half of the addresses is the kernel's.
    static func isUser(_ address: UInt64) -> Bool { address >> 63 == 0 }

    /// The address space of the stopped guest.
    func addressSpace() throws -> UInt64 { AddressSpaces.name(try registers()["CR3"] ?? 0) }

    /// When each address space was in use.
    func addressSpaces() throws -> AddressSpaces {
        if let spaces { return spaces }
        let found = try AddressSpaces(places.log)
        spaces = found
        return found
    }

    /// From now on only the running process counts. Returns its address space.
    ///
    /// - Throws: ``PlaceError`` if the log does not show address spaces, or the guest is not in user code.
    func followProcess() throws -> UInt64 {
        let registers = try registers()
        let space = AddressSpaces.name(registers["CR3"] ?? 0)
        guard registers["CPL"] == 3, try addressSpaces().contains(space) else {
            throw PlaceError("the guest is not in the code of a process: go to a function of its program first")
        }
        process = space
        return space
    }

    /// Where the guest is in the followed process's program; nil if it is elsewhere, or if no process is followed.
    func placeInProgram() throws -> (ip: UInt64, stack: UInt64)? {
        guard let process else { return nil }
        let registers = try registers()
        guard registers["CPL"] == 3, AddressSpaces.name(registers["CR3"] ?? 0) == process else { return nil }
        return (registers.linearIP, registers["RSP"] ?? 0)
    }

    /// Deliveries that come between two instructions of a program, at most.
    static let mostDeliveries = 64

    /// Where the followed process's program continues after the kernel has been entered; nil if it does not.
    func continuation() throws -> Destination? {
        guard let process, var clock = try position().brctr else { return nil }
        let spaces = try addressSpaces()
        while clock < places.end.brctr {
            if spaces.space(at: clock) != process {
                guard let next = spaces.nextStart(of: process, from: clock) else { return nil }
                clock = max(next, clock)
            }
            var cursor = places.log.branches(from: clock, to: places.end.brctr)
            // Up to the end of this use of the address space.
            while let branch = cursor.next(), spaces.space(at: branch.clock) == process {
                if TravelSession.isUser(branch.to), !TravelSession.isUser(branch.from) {
                    return try places.destination(brctr: branch.clock &+ 1)
                }
                clock = branch.clock
            }
            clock += 1
        }
        return nil
    }

    /// From the followed process's program, goes back by one instruction of it. Returns false at the beginning of the run.
    func stepBackInProcess() throws -> Bool {
        guard let process, let origin = try placeInProgram() else { return try stepBack() }
        for _ in 0..<TravelSession.mostDeliveries {
            let here = try position()
            guard let brctr = here.brctr, brctr > 0, let last = try places.branch(brctr - 1),
                last.icount == here.icount, !TravelSession.isUser(last.from)
            else { return try stepBack() }
            // Before this instruction ran the kernel.
            guard let entry = try lastEntry(of: process, before: brctr - 1) else { return try stepBack() }
            try go(to: before(places.destination(brctr: entry &+ 1).engine))
            guard let now = try placeInProgram(), now == origin else { return true }
        }
        return true
    }

    /// The clock of the last transition from a process's program into the kernel before some transitions.
    private func lastEntry(of process: UInt64, before end: UInt64) throws -> UInt64? {
        let spaces = try addressSpaces()
        var end = end
        while end > 0 {
            if spaces.space(at: end - 1) != process {
                guard let last = spaces.lastEnd(of: process, before: end - 1) else { return nil }
                end = min(end - 1, last &+ 1)
                continue
            }
            let start = end > TravelSession.entryBlock ? end - TravelSession.entryBlock : 0
            var cursor = places.log.branches(from: start, to: end)
            var found: UInt64?
            while let branch = cursor.next() {
                if TravelSession.isUser(branch.from), !TravelSession.isUser(branch.to),
                    spaces.space(at: branch.clock) == process
                {
                    found = branch.clock
                }
            }
            if let found { return found }
            end = start
        }
        return nil
    }

    /// Transitions that are searched at once.
    private static let entryBlock: UInt64 = 1 << 14

    /// The last stretch of instructions before a position that contains one of some addresses, in the followed process if
    /// there is one.
    func lastStretch(
        with addresses: [UInt64], before brctr: UInt64, ip: UInt64, after: UInt64 = 0
    ) throws -> RunPlaces.Stretch? {
        guard let process else { return try places.lastStretch(with: addresses, before: brctr, ip: ip, after: after) }
        let spaces = try addressSpaces()
        var (before, ip) = (brctr, ip)
        while let stretch = try places.lastStretch(with: addresses, before: before, ip: ip, after: after) {
            if spaces.space(at: stretch.brctr) == process { return stretch }
            guard let last = spaces.lastEnd(of: process, before: stretch.brctr) else { return nil }
            before = min(stretch.brctr, last &+ 1)
            ip = before > 0 ? try places.branch(before - 1)?.to ?? 0 : 0
        }
        return nil
    }

    /// Whether a branch is in the followed process, if there is one.
    func isFollowed(_ branch: Branch) throws -> Bool {
        guard let process else { return true }
        return try addressSpaces().space(at: branch.clock) == process
    }
}
