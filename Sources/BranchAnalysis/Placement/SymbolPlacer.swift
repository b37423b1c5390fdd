// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Reads symbol files for a run and decides where each was loaded.
///
///     var placer = SymbolPlacer(log, into: symbolizer)
///     try placer.addKernel(SymbolFile(path: "vmlinux"))       // KASLR: the log's calls show the slide
///     try placer.addModules(directory: "lib/modules")
///     try placer.addProgram(SymbolFile(path: "busybox"))      // position-independent: likewise
///     try placer.finish()
///     for finding in placer.notices { print(finding.notice.text) }
///
/// A place that the caller gives (``SymbolFile/placement``) is used as it is. Calls show a place only in a log of x86-64
/// that has the classes of branches (docs/symbols.md).
public struct SymbolPlacer {
    /// The findings, assumptions and lacks so far, in order. Valid after an error too.
    public private(set) var notices: [PlacementNotice] = []

    let symbolizer: Symbolizer
    let log: LogFile?
    private let kaslr: KernelSlide
    private let needsNames: Bool
    let range: (from: UInt64, to: UInt64)
    let progress: (SearchProgress) -> Void

    /// Files without symbols, whose code alone is used.
    private var unnamed: [SymbolFile] = []
    /// Modules whose place the log's calls confirm.
    var confirmed: Set<Int> = []
    // Sorted samples, made when they are first used.
    private var kernelTargets: [UInt64]?
    var programTargets: [UInt64]?
    var programTargetsInRange: [UInt64]?

    /// Makes a placer.
    ///
    /// - Parameters:
    ///   - log: The run; the files must be for its processor. If it is `nil`, any processor is accepted, and only given
    ///     places are used.
    ///   - symbolizer: Gets the files, each at its place.
    ///   - kaslr: The slide of kernels that have no given place.
    ///   - from: The part of the log that is searched first for programs: clocks in `from ..< to`.
    ///   - to: See `from`.
    ///   - needsNames: `false` if only code is used: a file without symbols is then accepted too.
    ///   - progress: Receives the progress of a search through the whole log, which takes seconds for a long log.
    public init(
        _ log: LogFile?, into symbolizer: Symbolizer, kaslr: KernelSlide = .auto, from: UInt64 = 0, to: UInt64 = .max,
        needsNames: Bool = true, progress: @escaping (SearchProgress) -> Void = { _ in }
    ) {
        self.log = log
        self.symbolizer = symbolizer
        self.kaslr = kaslr
        range = (from, to)
        self.needsNames = needsNames
        self.progress = progress
    }

    /// The log, if its branches can show places.
    var labeledLog: LogFile? { log.flatMap { SymbolPlacer.showsPlaces($0) ? $0 : nil } }

    /// Whether a log is of x86-64 and has branches with their classes.
    private static func showsPlaces(_ log: LogFile) -> Bool {
        log.header.machine == .x86_64 && log.header.features.contains(.branches)
            && log.header.features.contains(.labels)
    }

    mutating func note(_ text: String) { notices.append(PlacementNotice(notice: .note(text))) }

    mutating func warn(_ text: String, _ remedy: PlacementRemedy? = nil) {
        notices.append(PlacementNotice(notice: .warning(text), remedy: remedy))
    }

    /// The file's module; `nil` if the file has no symbols and needs none.
    mutating func read(_ file: SymbolFile) throws(SymbolError) -> Int? {
        do throws(SymbolError) {
            let module = try symbolizer.add(file, machine: log?.header.machine)
            if needsNames { for warning in module.warnings { warn(warning.description) } }
            return symbolizer.modules.count - 1
        } catch {
            guard !needsNames, error.kind == .noSymbols else { throw error }
            unnamed.append(file)
            return nil
        }
    }

    /// Adds notices about files that overlap or do not belong to the log. Call it after the last file.
    public mutating func finish() throws(DisassemblerError) {
        for overlap in symbolizer.overlaps { warn(overlap.description) }
        guard let log else { return }
        for notice in try CodeCheck(symbolizer, except: confirmed, machine: log.header.machine).notices(for: log) {
            notices.append(PlacementNotice(notice: notice))
        }
    }

    /// The code of all files, with a notice for each file without code.
    ///
    /// - Throws: The error of the first file, if none of the files has code.
    public mutating func code() throws -> CodeMap {
        let machine = log?.header.machine
        var (code, warnings) = CodeMap.of(symbolizer.modules, machine: machine)
        for file in unnamed { try code.add(file, machine: machine) }
        if code.isEmpty, let first = warnings.first { throw first }
        for warning in warnings { warn(warning.description) }
        return code
    }

    // MARK: - Kernels

    /// The targets of calls in the upper half of the addresses.
    mutating func kernelTargets(of log: LogFile) -> [UInt64] {
        let targets = kernelTargets ?? CallTargets.sample(log, in: CallTargets.upperHalf)
        kernelTargets = targets
        return targets
    }

    /// Adds a kernel, or any file that ran where it was linked.
    ///
    /// A file that is linked to the upper half of the addresses and has no given place gets the slide of the placer's
    /// `kaslr`. If the log's calls show no slide, the file stays at its link addresses.
    public mutating func addKernel(_ file: SymbolFile) throws(SymbolError) {
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
        guard let log = labeledLog else { return }
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
            if found.slide != 0 { note("\(file.path): \(found.kernelNote)") }
        } else if linked.isWrong, CodeMap.of([symbolizer.modules[module]]).code.isEmpty {
            // A file that has code is checked against it in finish().
            warn(
                "\(log.path): \(file.path) does not belong to it: only \(linked.fitText) in it fit, and with no slide do "
                    + "more of them; names from it are wrong")
        }
    }

    /// Whether a kernel among the files of a symbolizer ran with another slide in another log.
    public static func hasOtherSlide(_ symbolizer: Symbolizer, in log: LogFile) -> Bool {
        guard showsPlaces(log) else { return false }
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
