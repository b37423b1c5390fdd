// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree

/// A call, while it is open and when it has ended: a row of the table of calls.
struct CallRecord: BitwiseCopyable {
    /// The number of its row; 0: it has no row.
    var id: Int64
    var vcpu: UInt16
    var stack: UInt32
    var depth: UInt32
    /// 0: none.
    var parent: Int64
    var kind: CallFrame.Kind
    var ending = CallEnding.returned
    var hasIcount: Bool
    /// Whether the log shows its end.
    var hasEnd = false
    var callSite: UInt64
    var target: UInt64
    var function: UInt64
    var beginClock: UInt64
    var beginIcount: UInt64
    var endClock: UInt64 = 0
    var endIcount: UInt64 = 0
    var selfInstructions: UInt64 = 0
    var selfBranches: UInt64 = 0
    /// With those of the calls inside that have ended.
    var totalInstructions: UInt64 = 0
    var totalBranches: UInt64 = 0
    var interruptions: UInt64 = 0
    var interruptionInstructions: UInt64 = 0

    /// Adds the cost of a call inside, or subtracts it.
    mutating func add(_ inner: CallRecord, sign: UInt64) {
        totalInstructions &+= inner.totalInstructions &* sign
        totalBranches &+= inner.totalBranches &* sign
        let isInterruption = inner.kind == .interruption
        interruptions &+= (inner.interruptions &+ (isInterruption ? 1 : 0)) &* sign
        let taken = isInterruption ? inner.totalInstructions : inner.interruptionInstructions
        interruptionInstructions &+= taken &* sign
    }

    /// Adds its own cost to the total, or subtracts it.
    mutating func addSelf(sign: UInt64) {
        totalInstructions &+= selfInstructions &* sign
        totalBranches &+= selfBranches &* sign
    }
}

/// What ended a call.
struct CallEnding: Hashable, BitwiseCopyable {
    /// The number in the table of calls.
    let number: UInt8

    /// A return, or nothing: the call is open at the end of the log.
    static let returned = CallEnding(number: 0)
    /// Its stack was forgotten.
    static let forgotten = CallEnding(number: 1)

    /// The open calls had to be found again.
    init(_ reason: Resynchronisation) { number = reason.rawValue + 2 }

    private init(number: UInt8) { self.number = number }

    /// All endings that have a name, with it.
    static var named: [(ending: CallEnding, name: String)] {
        [(.forgotten, "forgotten")] + Resynchronisation.allCases.map { (CallEnding($0), $0.name) }
    }
}
