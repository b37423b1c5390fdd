// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Reads symbol files for a run and finds out where those stood of which nobody says it.
package struct SymbolPlacer {
    let symbolizer: Symbolizer
    let log: LogFile?
    private let kaslr: KernelSlide
    /// Else only code is asked for, and a file without symbols serves.
    private let needsNames: Bool
    /// Files without symbols.
    private var unnamed: [SymbolFile] = []
    /// Modules whose place the log's calls confirm.
    var confirmed: Set<Int> = []
    /// Sorted samples, made when they are needed first.
    private var kernelTargets: [UInt64]?
    var programTargets: [UInt64]?
    var programTargetsInRange: [UInt64]?
    let range: (from: UInt64, to: UInt64)

    package init(
        _ log: LogFile?, kaslr: KernelSlide, from: UInt64 = 0, to: UInt64 = .max, _ symbolizer: Symbolizer,
        needsNames: Bool = true
    ) {
        self.log = log
        self.kaslr = kaslr
        range = (from, to)
        self.needsNames = needsNames
        self.symbolizer = symbolizer
    }

    /// The log, where its branches can tell places.
    var judge: LogFile? { log.flatMap { SymbolPlacer.tellsPlaces($0) ? $0 : nil } }

    /// On x86-64, with branches and their classes.
    private static func tellsPlaces(_ log: LogFile) -> Bool {
        log.header.machine == 62 && log.header.features.contains(.branches) && log.header.features.contains(.labels)
    }

    /// The file's module; `nil` when it has no symbols and needs none.
    mutating func read(_ file: SymbolFile) throws -> Int? {
        do throws(SymbolError) {
            let module = try symbolizer.add(file, machine: log?.header.machine)
            if needsNames { for warning in module.warnings { Diagnostics.warning(warning.description) } }
            return symbolizer.modules.count - 1
        } catch {
            guard !needsNames, error.kind == .noSymbols else { throw error }
            unnamed.append(file)
            return nil
        }
    }

    /// Says what overlaps and what does not belong to the log.
    package func finish() throws {
        for overlap in symbolizer.overlaps { Diagnostics.warning(overlap.description) }
        guard let log else { return }
        try CodeCheck(symbolizer, except: confirmed, machine: log.header.machine).warn(log)
    }

    /// The code of all files.
    package func code() throws -> CodeMap {
        let machine = log?.header.machine
        var (code, warnings) = CodeMap.of(symbolizer.modules, machine: machine)
        for file in unnamed { try code.add(file, machine: machine) }
        if code.isEmpty, let first = warnings.first { throw first }
        for warning in warnings { Diagnostics.warning(warning.description) }
        return code
    }

    // MARK: - Kernels

    /// Where calls went in the upper half.
    package mutating func kernelTargets(of log: LogFile) -> [UInt64] {
        let targets = kernelTargets ?? CallTargets.sample(log, in: CallTargets.upperHalf)
        kernelTargets = targets
        return targets
    }

    /// A file of `--symbols`.
    package mutating func add(_ file: SymbolFile) throws {
        guard let module = try read(file), file.placement == .linked, let own = symbolizer.linkedRange(module: module),
            CallTargets.upperHalf.contains(own.lowerBound)
        else { return }
        switch kaslr {
        case .off: break
        case .slide(let slide): symbolizer.move(module: module, slide: slide)
        case .auto: findKernel(module, file)
        }
    }

    private mutating func findKernel(_ module: Int, _ file: SymbolFile) {
        guard let log = judge else { return }
        let targets = kernelTargets(of: log)
        guard let linked = symbolizer.fit(module: module, targets: targets, slide: 0) else { return }
        if linked.isReliable {
            confirmed.insert(module)
            return
        }
        let found = symbolizer.estimateSlide(module: module, targets: targets)
        if let found, found.isReliable {
            confirmed.insert(module)
            symbolizer.move(module: module, slide: found.slide)
            if found.slide != 0 { Diagnostics.note("\(file.path): \(found.kernelNote)") }
        } else if linked.isWrong, CodeMap.of([symbolizer.modules[module]]).code.isEmpty {
            // A file with code is judged by that.
            Diagnostics.warning(
                "\(log.path): \(file.path) does not belong to it: only \(linked.fitText) in it fit, and no slide was "
                    + "found with which more do; names from it are wrong")
        }
    }

    /// Whether a kernel among the files of a symbolizer ran, in another log, with another slide than it has there.
    package static func hasOtherSlide(_ symbolizer: Symbolizer, in log: LogFile) -> Bool {
        guard tellsPlaces(log) else { return false }
        var targets: [UInt64]?
        for (index, module) in symbolizer.modules.enumerated() {
            guard let own = symbolizer.linkedRange(module: index), CallTargets.upperHalf.contains(own.lowerBound) else {
                continue
            }
            let sample = targets ?? CallTargets.sample(log, in: CallTargets.upperHalf)
            targets = sample
            if symbolizer.fit(module: index, targets: sample, slide: module.slide)?.isReliable ?? true { continue }
            if let found = symbolizer.estimateSlide(module: index, targets: sample), found.isReliable { return true }
        }
        return false
    }
}
