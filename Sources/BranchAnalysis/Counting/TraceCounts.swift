// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// How often each branch of a program was followed by each straight run of code: its control flow, with exact counts.
///
/// Memory is bounded: when the table is full, new traces are left out and counted in ``leftOut``.
public struct TraceCounts: ~Copyable {
    /// A branch, the straight run after it, and how often both occurred. Addresses are those of the program's file.
    public struct Trace: BitwiseCopyable, Hashable, Sendable {
        /// Where a trace comes from.
        public enum Origin: UInt8, BitwiseCopyable, Hashable, Sendable {
            /// A branch of the program, at `from`.
            case branch
            /// A return from code outside.
            case externalReturn
            /// Other code outside.
            case external
        }

        /// The branch; 0 if it is outside.
        public var from: UInt64
        /// The address that it went to; one of the run if it is outside the program.
        public var to: UInt64
        /// The last instruction of the straight run; nil if it is outside the program, or not known.
        public var end: UInt64? { hasEnd ? endAddress : nil }
        /// How often; 0 in a free slot.
        public var count: UInt64
        /// Where the trace comes from.
        public var origin: Origin
        /// Whether `to` is outside the program.
        public var isExit: Bool
        fileprivate var hasEnd: Bool
        fileprivate var endAddress: UInt64
    }

    private var table: HashTable<Trace>
    /// The branch whose straight run has not ended.
    private var open: Trace?
    /// Traces, counted each time, that were left out because the table was full.
    public private(set) var leftOut: UInt64 = 0
    /// The most traces that the table holds.
    public var limit: Int { table.limit }

    /// Makes an empty table.
    ///
    /// - Parameter limit: The most traces; each takes 96 bytes of memory or more.
    public init(limit: Int = 1 << 22) {
        table = HashTable(limit: limit, expected: 1 << 13)
    }

    /// Counts a step.
    public mutating func add(_ step: ProgramTraces.Step) {
        switch step {
        case .branch(let from, let to):
            close(at: from)
            open = Trace(origin: .branch, from: from, to: to)
        case .leave(let from, let to):
            close(at: from)
            var exit = Trace(origin: .branch, from: from, to: to)
            exit.isExit = true
            count(exit)
        case .enter(let to, let isReturn):
            close(at: nil)
            open = Trace(origin: isReturn ? .externalReturn : .external, from: 0, to: to)
        case .end(let place): close(at: place)
        }
    }

    /// Ends the straight run that is open, at an instruction that is not known.
    public mutating func finish() { close(at: nil) }

    private mutating func close(at end: UInt64?) {
        guard var trace = open else { return }
        open = nil
        // A run that would go backwards is none: branches are missing in between.
        if let end, end >= trace.to {
            trace.hasEnd = true
            trace.endAddress = end
        }
        count(trace)
    }

    private mutating func count(_ trace: Trace) {
        if let slot = table.find(trace) {
            slot.pointee.count &+= 1
        } else if !table.insert(trace) {
            leftOut &+= 1
        }
    }

    /// All traces, ordered by from, to and end.
    public func traces() -> [Trace] {
        var traces: [Trace] = []
        table.visit { traces.append($0) }
        traces.sort {
            ($0.origin.rawValue, $0.from, $0.to, $0.endAddress) < ($1.origin.rawValue, $1.from, $1.to, $1.endAddress)
        }
        return traces
    }
}

extension TraceCounts.Trace: HashSlot {
    fileprivate init(origin: Origin, from: UInt64, to: UInt64) {
        self.origin = origin
        self.from = from
        self.to = to
        count = 1
        isExit = false
        hasEnd = false
        endAddress = 0
    }

    /// A slot without a trace: a trace occurs at least once.
    public static var free: Self {
        var slot = Self(origin: .branch, from: 0, to: 0)
        slot.count = 0
        return slot
    }
    /// Whether the slot has no trace.
    public var isFree: Bool { count == 0 }

    /// Whether both are the same trace.
    public func holds(_ key: Self) -> Bool {
        from == key.from && to == key.to && endAddress == key.endAddress && hasEnd == key.hasEnd
            && origin == key.origin && isExit == key.isExit
    }

    /// The hash of the trace.
    public func hash(_ seeds: HashSeeds) -> UInt64 { Self.hash(self, seeds) }

    /// The hash of a trace. The seeds keep a hostile log from choosing colliding addresses.
    public static func hash(_ key: Self, _ seeds: HashSeeds) -> UInt64 {
        seeds.mix(seeds.mix(key.from, key.to), key.endAddress ^ UInt64(key.origin.rawValue) &<< 56)
    }
}
