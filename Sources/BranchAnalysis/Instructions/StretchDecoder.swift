// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import Symbolize

/// Decodes stretches from the code of ELF files, and caches them: a run has far more branches than distinct stretches.
///
///     var decoder = StretchDecoder(code, try Disassembler())
///     let stretch = decoder.decode(begin: previous.to, end: branch.from, begun: branch.icount - previous.icount)
///     var place = StretchPlace(stretch)
///     while let instruction = decoder.next(&place) { print(instruction.address) }
///
/// A log does not contain the mode of the code (16, 32 or 64 bits). Code above 4 GiB is 64-bit code. Below, a stretch
/// is read in the mode of the stretch before. Another mode is tried if the branch between them can have changed it (a
/// far jump, a return from an interrupt), and the stretch does not decode in that mode, or not to the number of
/// instructions that began. If the mode of the first stretch is wrong and it decodes by chance, or a stretch decodes in
/// two modes, the first stretch after it that does not decode corrects the mode.
public struct StretchDecoder: ~Copyable {
    /// The size in bytes above which stretches are not decoded: no compiler makes them, but a damaged log can contain
    /// them.
    public static let sizeLimit: UInt64 = 1 << 20

    /// How the code of the stretch before was read.
    public private(set) var mode: CodeMode
    /// Whether that is known, and not only a first guess that has not failed so far.
    private var isModeKnown: Bool
    private let code: CodeMap
    private let disassembler: Disassembler
    private var stretches: StretchTable
    private var patchedStretches: StretchTable
    private var instructions: InstructionTable

    /// - Parameter mode: The mode of the run's first stretch; `nil` for the mode of its file.
    public init(_ code: CodeMap, _ disassembler: Disassembler, mode: CodeMode? = nil) {
        self.code = code
        self.disassembler = disassembler
        isModeKnown = mode != nil
        self.mode = mode ?? code.ranges.first.flatMap { code.mode(at: $0.lowerBound) } ?? .bits64
        stretches = StretchTable(limit: 1 << 19)
        patchedStretches = StretchTable(limit: 1 << 16)
        instructions = InstructionTable(limit: 1 << 19)
    }

    /// Sets the mode of the next stretch if the caller knows it; `nil` if the mode is no longer known.
    public mutating func setMode(_ mode: CodeMode?) {
        isModeKnown = mode != nil
        if let mode { self.mode = mode }
    }

    /// The stretch from one branch to the next.
    ///
    /// - Parameters:
    ///   - begin: where the branch before went.
    ///   - end: the instruction that the next branch left.
    ///   - begun: instructions that began from `begin` to `end`, iterations and all; `nil` if that is not known.
    ///   - keepsMode: the branch before cannot have changed how code is read.
    @inline(__always)
    public mutating func decode(begin: UInt64, end: UInt64, begun: UInt64?, keepsMode: Bool = false) -> Stretch {
        let mode = begin > UInt64(UInt32.max) ? .bits64 : self.mode
        if let known = find(begin, end, mode, mode), known.fits(begun: begun) { return known }
        return decodeSlowly(begin, end, begun, mode, keepsMode)
    }

    @inline(never)
    private mutating func decodeSlowly(
        _ begin: UInt64, _ end: UInt64, _ begun: UInt64?, _ mode: CodeMode, _ keepsMode: Bool
    ) -> Stretch {
        guard code.contains(begin) else {
            return Stretch(begin: begin, end: end, mode: mode, afterFar: mode, outcome: .outside)
        }
        let first = decode(begin, end, mode, mode)
        if first.fits(begun: begun) || begin > UInt64(UInt32.max) { return first }
        var found: Stretch?
        var isAmbiguous = false
        for candidate in keepsMode && isModeKnown ? [mode] : StretchDecoder.readings(mode) {
            for afterFar in StretchDecoder.readings(candidate) {
                let stretch = decode(begin, end, candidate, afterFar)
                if stretch.fits(begun: begun) {
                    isAmbiguous = isAmbiguous || found.map { $0.modeAtEnd != stretch.modeAtEnd } ?? false
                    found = found ?? stretch
                }
                guard stretch.passesFar else { break }
            }
        }
        guard let found else { return first }
        setMode(found.modeAtEnd)
        // Code that decodes in two modes does not decide between them.
        if isAmbiguous { isModeKnown = false }
        return found
    }

    /// The modes in the order in which they are tried: a processor goes from 16 to 32 to 64 bits as it starts.
    private static func readings(_ mode: CodeMode) -> [CodeMode] {
        switch mode {
        case .bits16: [.bits16, .bits32, .bits64]
        case .bits32: [.bits32, .bits64, .bits16]
        case .bits64: [.bits64, .bits32, .bits16]
        }
    }

    private mutating func decode(
        _ begin: UInt64, _ end: UInt64, _ mode: CodeMode, _ afterFar: CodeMode
    ) -> Stretch {
        if let known = find(begin, end, mode, afterFar) { return known }
        let stretch = decodeAnew(begin, end, mode, afterFar)
        stretches.insertRestarting(StretchSlot(stretch: stretch))
        return stretch
    }

    @inline(__always)
    private func find(_ begin: UInt64, _ end: UInt64, _ mode: CodeMode, _ afterFar: CodeMode) -> Stretch? {
        stretches.find(StretchSlot.Key(begin: begin, end: end, mode: mode, modeAfterFar: afterFar))?.pointee.stretch
    }

    /// The same stretch of 64-bit code, read so that the places that a Linux kernel patches may hold any code
    /// (``CodeMap/patchSites``); `nil` if there are none of these in it.
    public mutating func decodePatched(begin: UInt64, end: UInt64) -> Stretch? {
        guard !code.patchSites.isEmpty else { return nil }
        var stretch: Stretch
        let key = StretchSlot.Key(begin: begin, end: end, mode: .bits64, modeAfterFar: .bits64)
        if let known = patchedStretches.find(key) {
            stretch = known.pointee.stretch
        } else {
            stretch = decodeAnew(begin, end, .bits64, .bits64, isPatched: true)
            patchedStretches.insertRestarting(StretchSlot(stretch: stretch))
        }
        return stretch.patchCount > 0 ? stretch : nil
    }

    private mutating func decodeAnew(
        _ begin: UInt64, _ end: UInt64, _ mode: CodeMode, _ afterFar: CodeMode, isPatched: Bool = false
    ) -> Stretch {
        var stretch = Stretch(begin: begin, end: end, mode: mode, afterFar: afterFar, outcome: .complete)
        guard begin <= end else {
            stretch.outcome = .backwards
            return stretch
        }
        guard end &- begin <= StretchDecoder.sizeLimit else {
            stretch.outcome = .tooLong
            return stretch
        }
        var address = begin
        while true {
            stretch.stop = address
            if isPatched, let site = code.patchSite(at: address) {
                // At most one instruction a byte, without the part before `begin` or after `end`.
                stretch.patchCount &+= 1
                stretch.patchedLow &+= address == site.lowerBound ? 1 : 0
                stretch.patchedHigh &+= UInt32(truncatingIfNeeded: min(site.upperBound &- 1, end) &- address &+ 1)
                guard site.upperBound <= end else {
                    stretch.stop = end
                    return stretch
                }
                address = site.upperBound
                continue
            }
            guard let instruction = instruction(at: address, mode: stretch.modeAtEnd) else {
                stretch.outcome = code.contains(address) ? .unknownInstruction : .leavesCode
                return stretch
            }
            if instruction.branchClass == .rep { stretch.repeatCount &+= 1 }
            stretch.count &+= 1
            if address == end {
                stretch.last = instruction
                return stretch
            }
            let next = instruction.fallThrough
            if next > end || next < address {
                stretch.outcome = .missesEnd
                return stretch
            }
            if !instruction.canFallThrough {
                stretch.outcome = .passesBranch
                return stretch
            }
            if instruction.branchClass == .far { stretch.passesFar = true }
            address = next
        }
    }

    /// The instruction at an address of the run; `nil` if no file has code there, or capstone knows no such
    /// instruction.
    @inline(__always)
    public mutating func instruction(at address: UInt64, mode: CodeMode) -> Instruction? {
        if let known = instructions.find(InstructionSlot.Key(address: address, mode: mode)) {
            return known.pointee.instruction
        }
        let disassembler = disassembler
        let found = code.withBytes(at: address) { disassembler.decode($0, at: address, mode: mode) }
        guard let instruction = found ?? nil else { return nil }
        instructions.insertRestarting(InstructionSlot(instruction: instruction))
        return instruction
    }

    /// The next instruction of a stretch; `nil` after the end, or where decoding stopped. A repeated instruction is
    /// returned once.
    @inline(__always)
    public mutating func next(_ place: inout StretchPlace) -> Instruction? {
        guard place.left > 0 else { return nil }
        if place.isPatched { while let site = code.patchSite(at: place.address) { place.address = site.upperBound } }
        guard let instruction = instruction(at: place.address, mode: place.mode) else { return nil }
        place.left &-= 1
        place.address = instruction.fallThrough
        if instruction.branchClass == .far { place.mode = place.modeAfterFar }
        return instruction
    }
}

/// A position in the iteration over a stretch's instructions.
public struct StretchPlace: BitwiseCopyable, Sendable {
    /// The address of the next instruction.
    public internal(set) var address: UInt64
    /// The number of instructions that are left.
    public internal(set) var left: UInt32
    var mode: CodeMode
    let modeAfterFar: CodeMode
    /// Whether places that a kernel patches are skipped.
    let isPatched: Bool

    /// The position before the stretch's first instruction.
    public init(_ stretch: Stretch) {
        isPatched = stretch.patchCount > 0
        address = stretch.begin
        left = stretch.count
        mode = stretch.mode
        modeAfterFar = stretch.modeAfterFar
    }
}
