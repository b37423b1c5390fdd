// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BranchAnalysis
import Formatting
import Glibc
import LogFormat
import MachineCode
import Symbolize

/// `--symbols`, `--kaslr`, `--modules`, `--user`: the files that name the addresses of a run, and where they stood in it.
public struct SymbolOptions: ParsableArguments {
    @Option(
        name: .customLong("symbols"),
        help: ArgumentHelp(
            "Name addresses after this ELF file (a kernel's vmlinux, a program built with -g); may be repeated, the "
                + "first file that knows an address wins. FILE@ADDRESS: its lowest segment was loaded there. FILE+SLIDE: "
                + "it ran that much higher than it was linked. FILE,FROM:TO: it answers only for these addresses. "
                + "Separate debug files, System.map and /proc/kallsyms serve too.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    public var files: [String] = []

    @Option(
        help: ArgumentHelp(
            "How much higher a kernel ran than it was linked (KASLR), where --symbols does not say: auto finds it by the "
                + "log's calls, off takes the kernel as it was linked.",
            valueName: "slide|auto|off"))
    public var kaslr = KernelSlide.auto

    @Option(
        help: ArgumentHelp(
            "Name addresses after the kernel modules that were loaded: their files (.ko) stand in or below DIR. LIST says "
                + "which and where: the text of /proc/modules, as root, or of grep . /sys/module/*/sections/*. "
                + "(default for LIST: DIR/\(KernelModules.listName))",
            valueName: "dir[,list]"),
        completion: .directory)
    public var modules: String?

    @Option(
        name: .customLong("user"),
        help: ArgumentHelp(
            "Name addresses of user code after this program; may be repeated. Where it is position-independent and "
                + "neither @ADDRESS nor +SLIDE is given, the log's calls tell where it stood, at each of several "
                + "places if it ran more than once.",
            valueName: "program[@address|+slide]"),
        completion: .file())
    public var programs: [String] = []

    @Flag(
        help: "Read symbol files anew instead of keeping their tables in $XDG_CACHE_HOME/tt-analyze/symbols.")
    public var noCache = false

    public init() {}

    /// Whether any file is named.
    public var isGiven: Bool { !files.isEmpty || hasOthers }

    private var hasOthers: Bool { modules != nil || !programs.isEmpty }

    /// Reads the files and places them where they stood in a run; `nil` when there are none. What is wrong with a file
    /// that serves all the same is said on stderr, and where a file was found to stand that was not said to.
    ///
    /// - Parameters:
    ///   - log: The run, whose processor the files must be for; `nil` where there is none: any processor, and only what is
    ///     said counts.
    ///   - from: Where a program stood is taken from branches with clocks in `from ..< to`, if these tell it.
    ///   - reading: How much of a file is read now.
    public func symbolizer(
        for log: LogFile?, from: UInt64 = 0, to: UInt64 = .max, reading: Symbolizer.Reading = .whole
    ) throws -> Symbolizer? {
        try symbolizer(files, for: log, from: from, to: to, reading: reading)
    }

    /// The same with other files than those of `--symbols`.
    public func symbolizer(
        _ files: [String], for log: LogFile?, from: UInt64 = 0, to: UInt64 = .max,
        reading: Symbolizer.Reading = .whole
    ) throws -> Symbolizer? {
        guard !files.isEmpty || hasOthers else { return nil }
        let symbolizer = Symbolizer(cache: noCache ? .off : .standard, reading: reading)
        let search = SearchLine()
        var placer = SymbolPlacer(
            log, into: symbolizer, kaslr: kaslr, from: from, to: to, progress: search.update)
        defer { report(placer.notices) }
        try add(files, to: &placer)
        try placer.finish()
        return symbolizer
    }

    /// Says what turned out to be wrong with files that were read as they were asked, and keeps what was read of them.
    public static func finish(_ symbolizer: Symbolizer?) {
        for warning in symbolizer?.finish() ?? [] { Diagnostics.warning(warning.description) }
    }

    /// Whether the files stood elsewhere in another run than a symbolizer has them: a kernel with another slide, or
    /// programs whose places the log tells.
    public func isPlacedElsewhere(_ symbolizer: Symbolizer, in log: LogFile) -> Bool {
        if programs.contains(where: { (try? SymbolFile(argument: $0))?.placement == .linked }) { return true }
        return kaslr == .auto && SymbolPlacer.hasOtherSlide(symbolizer, in: log)
    }

    /// What names these files, the modules and the programs on another command line.
    public func arguments(_ files: [String]) -> [String] {
        let slide: [String] =
            switch kaslr {
            case .auto: []
            case .off: ["--kaslr", "off"]
            case .slide(let slide): ["--kaslr", String(slide)]
            }
        return files.flatMap { ["--symbols", $0] } + slide + (modules.map { ["--modules", $0] } ?? [])
            + programs.flatMap { ["--user", $0] }
    }

    /// The code of the files, placed as for ``symbolizer(for:from:to:)``. Files without symbols serve as well; of
    /// files without code it is said on stderr, unless none has any: that is an error.
    public func code(for log: LogFile) throws -> CodeMap {
        let search = SearchLine()
        var placer = SymbolPlacer(
            log, into: Symbolizer(cache: noCache ? .off : .standard), kaslr: kaslr, needsNames: false,
            progress: search.update)
        defer { report(placer.notices) }
        try add(files, to: &placer)
        return try placer.code()
    }

    private func add(_ files: [String], to placer: inout SymbolPlacer) throws {
        do {
            for file in files { try placer.addKernel(SymbolFile(argument: file)) }
            if let modules {
                let (directory, list) = SymbolOptions.modules(modules)
                try placer.addModules(directory: directory, list: list)
            }
            for program in programs { try placer.addProgram(SymbolFile(argument: program)) }
        } catch let error as PlacementError {
            throw RuntimeError("\(error); \(SymbolOptions.text(error.remedy))")
        }
    }

    /// `DIR[,LIST]`: the comma belongs to the name of a directory that exists.
    private static func modules(_ argument: String) -> (directory: String, list: String?) {
        guard access(argument, F_OK) != 0, let comma = argument.lastIndex(of: ",") else { return (argument, nil) }
        return (String(argument[..<comma]), String(argument[argument.index(after: comma)...]))
    }

    private func report(_ found: [PlacementNotice]) {
        for var finding in found {
            if let remedy = finding.remedy { finding.notice.text += "; \(SymbolOptions.text(remedy))" }
            Diagnostics.report(finding.notice)
        }
    }

    /// A remedy as this command line has it.
    private static func text(_ remedy: PlacementRemedy) -> String {
        switch remedy {
        case .giveLoadAddress(let path):
            "give --user \(path)@ADDRESS, the lowest address that it was mapped to (/proc/PID/maps)"
        case .addAsKernel(let path): "give --symbols \(path)"
        }
    }
}

/// The progress line of a search for programs.
private final class SearchLine {
    private var progress: Progress?

    func update(_ search: SymbolPlacer.SearchProgress) {
        let progress = progress ?? Progress("looking for programs", unit: " branches", total: search.total)
        self.progress = progress
        if search.done == search.total { progress.finish() } else { progress.update(search.done) }
    }
}

extension KernelSlide: ExpressibleByArgument {
    public init?(argument: String) {
        switch argument {
        case "auto": self = .auto
        case "off": self = .off
        default:
            guard let slide = SymbolFile.slide(argument) else { return nil }
            self = .slide(slide)
        }
    }

    public var defaultValueDescription: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .slide(let slide): String(slide)
        }
    }
}
