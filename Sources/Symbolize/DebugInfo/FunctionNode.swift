// SPDX-License-Identifier: GPL-2.0-or-later

/// A function, or a copy of one that was inlined, as DWARF describes it.
struct FunctionNode: Sendable, BitwiseCopyable {
    static let noParent = UInt32.max

    var name: StringPool.ID
    /// The place of the call that was inlined (inlined copies only).
    var callFile: StringPool.ID
    var callLine: UInt32
    /// The node that this one was inlined into; `noParent` for a function.
    var parent: UInt32
    /// The lowest address of its code.
    var low: UInt64
    /// Where the entry is, or what it is a copy of, if that has no linkage name and is C++; else 0.
    var unlinked: UInt

    var isInlined: Bool { parent != FunctionNode.noParent }
}
