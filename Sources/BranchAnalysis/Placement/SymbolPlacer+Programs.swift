// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

extension SymbolPlacer {
    /// Adds a user program or a shared library.
    ///
    /// If the file is position-independent and has no given place, the log's calls show where it was loaded: each of
    /// several addresses if it ran more than once. If they do not, a notice reports it, and the file names nothing.
    ///
    /// - Throws: `SymbolError` if the file cannot be read, ``PlacementError`` if it cannot be a program of the run.
    public mutating func addProgram(_ file: SymbolFile) throws {
        guard let module = try read(file) else { return }
        if file.placement == .linked, symbolizer.isPositionIndependent(module: module) {
            guard let log else { throw PlacementError(path: file.path, kind: .noLog) }
            guard findProgram(module, file, log) else { return symbolizer.silence(module: module) }
        }
        for module in symbolizer.modules[module...] where module.range.upperBound > CallTargets.lowerHalf.upperBound {
            throw PlacementError(path: file.path, kind: .aboveUserCode(address: module.range.lowerBound))
        }
    }

    /// Moves a program to where the log's calls show it; `false` if they do not.
    private mutating func findProgram(_ module: Int, _ file: SymbolFile, _ log: LogFile) -> Bool {
        let remedy = PlacementRemedy.giveLoadAddress(path: file.path)
        guard let log = labeledLog else {
            warn(
                "\(file.path): is position-independent, and \(log.path) has no classes of branches, which would show "
                    + "where it was loaded; it names nothing", remedy)
            return false
        }
        // The selected part first: a program that ran at many addresses may have run at one of them there.
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
            let best = found.best.map { "at the best address \($0.fitText) fit" } ?? "no call fits it"
            warn("\(file.path): \(log.path) does not show where it was loaded (\(best)); it names nothing", remedy)
            return false
        }
        symbolizer.move(module: module, slide: first.slide)
        for other in found.reliable.dropFirst() { symbolizer.repeatModule(module, slide: other.slide) }
        confirmed.formUnion(module..<module + found.reliable.count)
        note("\(file.path): \(SlideEstimate.programNote(found.reliable))")
        return true
    }

    /// Adds those programs and libraries in and below a directory that ran, the best fit first: the log's calls show which.
    ///
    /// Where two of them have the same addresses, the one that more calls fit names these.
    public mutating func addPrograms(directory: String) throws {
        guard let log = labeledLog else { throw PlacementError(path: directory, kind: .noLog) }
        let targets = programTargets ?? readProgramTargets(log, (0, .max))
        programTargets = targets
        let programs = try ProgramFiles(directory: directory, machine: log.header.machine)
        if programs.isCut { warn("\(directory): has more than \(ProgramFiles.limit) programs; the rest is left out") }
        var fitting: [(file: SymbolFile, entries: Int)] = []
        for (number, file) in programs.files.enumerated() {
            progress(SearchProgress(done: UInt64(number), total: UInt64(programs.files.count)))
            // A file that cannot be read, or has no symbols, is no program that the calls could show.
            guard let entries = try? entries(of: file, targets, machine: log.header.machine) else { continue }
            fitting.append((file, entries))
        }
        let count = UInt64(programs.files.count)
        progress(SearchProgress(done: count, total: count))
        fitting.sort { ($1.entries, $0.file.path) < ($0.entries, $1.file.path) }
        note("\(directory): \(fitting.count) of \(programs.files.count) programs and libraries ran")
        for program in fitting { try addProgram(program.file) }
    }

    /// How many distinct call targets fit a file at its best place; `nil` if they do not show that it ran.
    private func entries(of file: SymbolFile, _ targets: [UInt64], machine: Machine) throws -> Int? {
        let trial = symbolizer.withoutFiles()
        try trial.add(file, machine: machine)
        guard !trial.isPositionIndependent(module: 0) else {
            return trial.estimateSlides(module: 0, targets: targets).reliable.first?.entries
        }
        guard let fit = trial.fit(module: 0, targets: targets, slide: 0), fit.isReliable else { return nil }
        return fit.entries
    }

    private func readProgramTargets(_ log: LogFile, _ range: (from: UInt64, to: UInt64)) -> [UInt64] {
        let total = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.reduce(0) { $0 &+ UInt64($1.count) }
        defer { progress(SearchProgress(done: total, total: total)) }
        return CallTargets.all(log, in: CallTargets.lowerHalf, from: range.from, to: range.to) {
            progress(SearchProgress(done: $0, total: total))
        }
    }

    /// The progress of the search for programs.
    public struct SearchProgress: Sendable, Hashable {
        /// Branches that have been read; ``total`` when the search ends.
        public var done: UInt64
        /// Branches of the log.
        public var total: UInt64
    }
}
