// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

extension SymbolPlacer {
    /// A file of `--user`.
    package mutating func addProgram(_ file: SymbolFile) throws {
        guard let module = try read(file) else { return }
        if file.placement == .linked, symbolizer.isPositionIndependent(module: module) {
            try findProgram(module, file)
        }
        for module in symbolizer.modules[module...] where module.range.upperBound > CallTargets.lowerHalf.upperBound {
            throw SymbolPlaceError(
                "\(file.path): with its code at \(RowText.hex(module.range.lowerBound)) it is no user program, which "
                    + "end below \(RowText.hex(CallTargets.lowerHalf.upperBound)); give a kernel to --symbols")
        }
    }

    private mutating func findProgram(_ module: Int, _ file: SymbolFile) throws {
        let advice = "give --user \(file.path)@ADDRESS, the lowest address that it was mapped to (/proc/PID/maps)"
        guard let log else {
            throw SymbolPlaceError("\(file.path): is position-independent, and no log tells where it stood; \(advice)")
        }
        guard let log = judge else {
            throw SymbolPlaceError(
                "\(file.path): is position-independent, and \(log.path) has no classes of branches that tell where it "
                    + "stood; \(advice)")
        }
        // What was asked for first: in it a program may have run once that ran at many places before.
        var found: (reliable: [SlideEstimate], best: SlideEstimate?) = ([], nil)
        if range != (0, .max) {
            let targets = programTargetsInRange ?? readProgramTargets(log, range)
            programTargetsInRange = targets
            found = symbolizer.estimateSlides(module: module, targets: targets)
        }
        if found.reliable.isEmpty {
            let targets = programTargets ?? readProgramTargets(log, (0, .max))
            programTargets = targets
            found = symbolizer.estimateSlides(module: module, targets: targets)
        }
        guard let first = found.reliable.first else {
            let best = found.best.map { "the best place fits \($0.fitText)" } ?? "no call fits it"
            throw SymbolPlaceError("\(file.path): \(log.path) does not tell where it stood: \(best); \(advice)")
        }
        symbolizer.move(module: module, slide: first.slide)
        for other in found.reliable.dropFirst() { symbolizer.repeatModule(module, slide: other.slide) }
        confirmed.formUnion(module..<module + found.reliable.count)
        Diagnostics.note("\(file.path): \(SlideEstimate.programNote(found.reliable))")
    }

    private func readProgramTargets(_ log: LogFile, _ range: (from: UInt64, to: UInt64)) -> [UInt64] {
        let total = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.reduce(0) { $0 &+ UInt64($1.count) }
        let progress = Progress("looking for programs", unit: " branches", total: total)
        defer { progress.finish() }
        return CallTargets.all(log, in: CallTargets.lowerHalf, from: range.from, to: range.to) {
            progress.update($0)
        }
    }
}

/// Why a file cannot be placed, and what to give.
public struct SymbolPlaceError: Error, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
