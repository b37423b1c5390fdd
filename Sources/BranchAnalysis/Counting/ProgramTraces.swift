// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What one program of a run did, as optimisers want it: its branches, and the straight runs of code between them.
///
///     var traces = ProgramTraces(places)
///     traces.add(batch, range) { step in … }
///
/// A processor's branch recorder that is limited to user code does not see interrupts, faults and system calls: the code
/// goes on at the instruction where it was left, or after it. So they end no straight run here, unless the program goes on
/// elsewhere (a signal, another process).
public struct ProgramTraces {
    /// A part of the address space that belongs to the program.
    public struct Place: Sendable, Hashable {
        /// The addresses in the run.
        public var range: Range<UInt64>
        /// What is subtracted from them to get addresses of the file.
        public var slide: Int64

        /// A part of the address space.
        public init(range: Range<UInt64>, slide: Int64) {
            self.range = range
            self.slide = slide
        }
    }

    /// One step of the program; addresses are those of its file.
    public enum Step: Hashable, Sendable {
        /// A branch inside the program.
        case branch(from: UInt64, to: UInt64)
        /// A branch to code outside, at that address of the run.
        case leave(from: UInt64, to: UInt64)
        /// The program goes on at `to`, from code outside; by a return or in another way.
        case enter(to: UInt64, isReturn: Bool)
        /// The straight run ended at that instruction without a branch.
        case end(at: UInt64)
    }

    private let places: [Place]
    /// The instruction of the file at which an interrupt, a fault or a system call left the program.
    private var left: UInt64?
    /// The place that the last address was in.
    private var last = 0

    /// The longest instruction, in bytes.
    private static let longestInstruction: UInt64 = 15

    /// - Parameter places: the places of one program; several if it ran at several addresses.
    public init(_ places: [Place]) {
        self.places = places
    }

    /// The branches that follow do not continue the ones before: another vCPU, or a gap.
    public mutating func begin(_ body: (Step) -> Void) {
        if let left { body(.end(at: left)) }
        left = nil
    }

    /// Calls `body` with the steps that some branches make.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>, _ body: (Step) -> Void) {
        let (from, to, label) = (batch.from, batch.to, batch.label)
        for index in range {
            let origin = fileAddress(from[index])
            let target = fileAddress(to[index])
            if origin == nil, target == nil { continue }
            add(origin, target, to[index], BranchLabel(rawValue: label[index]), body)
        }
    }

    private mutating func add(
        _ origin: UInt64?, _ target: UInt64?, _ address: UInt64, _ label: BranchLabel, _ body: (Step) -> Void
    ) {
        let isBranch = ProgramTraces.isBranch(label)
        switch (origin, target) {
        case (let origin?, let target?) where isBranch:
            begin(body)
            body(.branch(from: origin, to: target))
        case (let origin?, nil) where isBranch:
            begin(body)
            body(.leave(from: origin, to: address))
        case (let origin?, nil):
            begin(body)
            left = origin
        case (let origin?, let target?):
            // An interrupt of the program whose handler is a part of it: a kernel.
            begin(body)
            body(.end(at: origin))
            body(.enter(to: target, isReturn: false))
        case (nil, let target?):
            if let left, !isBranch, target &- left <= ProgramTraces.longestInstruction {
                self.left = nil
                return
            }
            begin(body)
            body(.enter(to: target, isReturn: label.branchClass == .ret))
        case (nil, nil): break
        }
    }

    /// Whether optimisers call it a branch.
    private static func isBranch(_ label: BranchLabel) -> Bool {
        switch label.branchClass {
        case .jcc, .jmp, .jmpIndirect, .call, .callIndirect, .ret: !label.isDiscontinuity
        case .none, .far, .iret, .int, .syscall, .sysret, .sysenter, .sysexit, .hlt, .rep, .rsm, .unknown: false
        }
    }

    @inline(__always)
    private mutating func fileAddress(_ address: UInt64) -> UInt64? {
        if last < places.count, places[last].range.contains(address) {
            return address &- UInt64(bitPattern: places[last].slide)
        }
        guard let index = places.firstIndex(where: { $0.range.contains(address) }) else { return nil }
        last = index
        return address &- UInt64(bitPattern: places[index].slide)
    }
}
