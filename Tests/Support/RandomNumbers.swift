// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// How many hostile inputs a test tries: the variable TT_HOSTILE_INPUTS, or a number that `make test` has time for.
public func hostileInputs(_ usual: Int) -> Int {
    getenv("TT_HOSTILE_INPUTS").flatMap { Int(String(cString: $0)) } ?? usual
}

/// Reproducible numbers: the same from the same seed, everywhere (splitmix64).
public struct RandomNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    @inline(__always)
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// A number below `bound`, which is not 0.
    @inline(__always)
    public mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }
}
