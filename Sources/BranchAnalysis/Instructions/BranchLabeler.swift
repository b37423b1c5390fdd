// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize

/// Labels branches from the code of files, for inputs without labels: the class of the instruction that was left, and
/// whether the branch went to its static target. A branch from an address without code gets `unknown`.
///
/// At places where a kernel patches its code (``CodeMap/findPatchSites(_:)``) the file's instruction shows what is put
/// there. A jump to a return thunk becomes a return, a call another call, and a branch to the beginning of a function
/// is a call. Other branches from such places are `unknown`.
///
///     let labeler = BranchLabeler(code, try Disassembler(), symbolizer)
///     labeler.label(from: 0xffff_ffff_8100_1234, to: 0xffff_ffff_8100_2000)       // call!
///
/// One thread may use it.
public final class BranchLabeler {
    private struct Entry: BitwiseCopyable {
        var address: UInt64
        var target: UInt64
        var branchClass: BranchClass
        var hasTarget: Bool
        var isKnown: Bool
        /// A kernel changes it.
        var isPatched: Bool
    }

    private static let count = 1 << 16

    private let code: CodeMap
    private let disassembler: Disassembler
    private let lookup: SymbolLookup
    /// Where the kernel's returns go in its file.
    private let returnThunks: Set<UInt64>
    /// The last decoded instruction at each of the addresses that share an entry.
    private let entries: UnsafeMutablePointer<Entry>

    /// Makes a labeler that reads instructions from `code`. The symbolizer names the kernel's return thunks.
    public init(_ code: CodeMap, _ disassembler: Disassembler, _ symbolizer: Symbolizer) {
        lookup = symbolizer.symbolLookup
        returnThunks = Set(symbolizer.resolve(name: "__x86_return_thunk").map(\.lowerBound))
        self.code = code
        self.disassembler = disassembler
        entries = .allocate(capacity: BranchLabeler.count)
        entries.initialize(
            repeating: Entry(
                address: 0, target: 0, branchClass: .unknown, hasTarget: false, isKnown: false, isPatched: false),
            count: BranchLabeler.count)
    }

    deinit { entries.deallocate() }

    /// The label of a branch.
    @inline(__always)
    public func label(from: UInt64, to: UInt64) -> BranchLabel {
        let place = Int(truncatingIfNeeded: (from &* 0x9e37_79b9_7f4a_7c15) >> 48)
        if !entries[place].isKnown || entries[place].address != from { entries[place] = decode(from) }
        let entry = entries[place]
        let isStatic = entry.hasTarget && entry.target == to
        if entry.isPatched, !isStatic { return patched(entry, to) }
        return BranchLabel(entry.branchClass, hasStaticTarget: isStatic)
    }

    /// The class of the instruction at a place that a kernel patched, if the file has no branch to this target there.
    @inline(never)
    private func patched(_ entry: Entry, _ to: UInt64) -> BranchLabel {
        switch entry.branchClass {
        case .jmp: BranchLabel(returnThunks.contains(entry.target) ? .ret : .unknown)
        case .call, .callIndirect: BranchLabel(.call, hasStaticTarget: true)
        default:
            lookup.symbol(lookup.find(to))?.offset == 0
                ? BranchLabel(.call, hasStaticTarget: true) : BranchLabel(.unknown)
        }
    }

    @inline(never)
    private func decode(_ address: UInt64) -> Entry {
        var entry = Entry(
            address: address, target: 0, branchClass: .unknown, hasTarget: false, isKnown: true,
            isPatched: code.patchSite(at: address) != nil)
        guard let mode = code.mode(at: address) else { return entry }
        let found = code.withBytes(at: address) { disassembler.decode($0, at: address, mode: mode) }
        guard let instruction = found ?? nil else { return entry }
        entry.branchClass = instruction.branchClass
        entry.hasTarget = instruction.hasTarget
        entry.target = instruction.target
        return entry
    }
}
