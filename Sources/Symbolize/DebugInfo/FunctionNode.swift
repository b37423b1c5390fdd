// SPDX-License-Identifier: GPL-2.0-or-later

/// A function, or a copy of one that was inlined, as DWARF describes it.
struct FunctionNode: Sendable, BitwiseCopyable {
    static let noParent = UInt32.max

    var name: StringPool.ID
    /// Where the call stood that was inlined (inlined copies only).
    var callFile: StringPool.ID
    var callLine: UInt32
    /// The node that this one was inlined into; `noParent` for a function.
    var parent: UInt32
    /// The lowest address of its code.
    var low: UInt64

    var isInlined: Bool { parent != FunctionNode.noParent }
}
