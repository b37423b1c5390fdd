// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BranchAnalysis
import Formatting
import Glibc
import LogFormat
import MachineCode
import Symbolize

/// `--symbols`, `--kaslr`, `--modules`, `--user`: the files that name the addresses of a run, and where they were loaded.
public struct SymbolOptions: ParsableArguments {
    /// `--symbols`, each with its placement.
    @Option(
        name: .customLong("symbols"),
        help: ArgumentHelp(
            "Take names from this ELF file (a kernel's vmlinux, a program built with -g); may be repeated, the first "
                + "file that knows an address names it. FILE@ADDRESS: the lowest segment was loaded at ADDRESS. "
                + "FILE+SLIDE: the code ran SLIDE bytes above its linked address. FILE,FROM:TO: only for these addresses. "
                + "FILE may also be a separate debug file, a System.map or a copy of /proc/kallsyms.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    public var files: [String] = []

    /// `--kaslr`.
    @Option(
        help: ArgumentHelp(
            "The slide of a kernel (KASLR) for which --symbols gives none: auto finds it by the log's calls, off is 0.",
            valueName: "slide|auto|off"))
    public var kaslr = KernelSlide.auto

    /// `--modules`.
    @Option(
        help: ArgumentHelp(
            "Take names from the kernel modules that were loaded; their files (.ko) are in or below DIR. LIST names them "
                + "and their addresses: a copy of /proc/modules, read as root, or the output of "
                + "grep . /sys/module/*/sections/*. (default for LIST: DIR/\(KernelModules.listName), "
                + "else the one that tt-replay --print modules has left in the run's directory)",
            valueName: "dir[,list]"),
        completion: .directory)
    public var modules: String?

    /// `--user`, each with its placement.
    @Option(
        name: .customLong("user"),
        help: ArgumentHelp(
            "Name addresses of user code after this program; may be repeated. Where it is position-independent and "
                + "neither @ADDRESS nor +SLIDE is given, the log's calls show where it was loaded, at each of several "
                + "places if it ran more than once. Of a directory, those programs and libraries in and below it are taken "
                + "that ran.",
            valueName: "program[@address|+slide]|dir"),
        completion: .file())
    public var programs: [String] = []

    /// `--no-cache`.
    @Flag(
        help: "Read symbol files without the cache of their tables in $XDG_CACHE_HOME/tt-analyze/symbols.")
    public var noCache = false

    /// Whether names stay as the linker has them.
    @Flag(help: "Print the linkage names of C++, Rust, Swift and D instead of demangling them.")
    public var noDemangle = false

    /// Makes options that are not given.
    public init() {}

    /// Whether any file is named.
    public var isGiven: Bool { !files.isEmpty || hasOthers }

    private var hasOthers: Bool { modules != nil || !programs.isEmpty }

    /// Reads the files and places them at their addresses in a run; `nil` if there are none. Prints what is wrong with a
    /// file that can still be used, and the addresses that were found by the log's calls.
    ///
    /// - Parameters:
    ///   - log: The run, whose processor the files must be for; `nil`: any processor, and no search for addresses.
    ///   - from: Programs are placed by branches with clocks in `from ..< to`, if these suffice.
    ///   - reading: How much of a file is read now.
    public func symbolizer(
        for log: LogFile?, from: UInt64 = 0, to: UInt64 = .max, reading: Symbolizer.Reading = .whole
    ) throws -> Symbolizer? {
        try symbolizer(files, for: log, from: from, to: to, reading: reading)
    }

    /// Reads the files of the options or, if none is named, the kernel of the run that one of some logs belongs to.
    ///
    /// A boot image or a file without symbols, which only a manifest names, gives no names and no error.
    public func symbolizer(
        for log: LogFile?, orKernelOf paths: [String], from: UInt64, to: UInt64, reading: Symbolizer.Reading
    ) throws -> Symbolizer? {
        if isGiven { return try symbolizer(for: log, from: from, to: to, reading: reading) }
        guard let log, let kernel = paths.lazy.compactMap({ RunOfLog.kernel(ofLog: $0) }).first else { return nil }
        do {
            return try symbolizer([kernel], for: log, from: from, to: to, reading: reading)
        } catch let error as SymbolError {
            switch error.kind {
            case .bootImage, .noSymbols, .notELF: return nil
            default: throw error
            }
        }
    }

    /// The paths of the files that the options name, without their placement.
    public var inputs: [String] { (files + programs).compactMap { (try? SymbolFile(argument: $0))?.path } }

    /// The paths of the programs of `--user`, without their placement.
    public var inputPrograms: [String] { programs.compactMap { (try? SymbolFile(argument: $0))?.path } }

    /// Reads other files than those of `--symbols`, and places them the same way.
    public func symbolizer(
        _ files: [String], for log: LogFile?, from: UInt64 = 0, to: UInt64 = .max,
        reading: Symbolizer.Reading = .whole
    ) throws -> Symbolizer? {
        guard !files.isEmpty || hasOthers else { return nil }
        let symbolizer = Symbolizer(
            cache: noCache ? .off : .standard, reading: reading, demangles: !noDemangle)
        let search = SearchLine()
        var placer = SymbolPlacer(
            log, into: symbolizer, kaslr: kaslr, from: from, to: to, progress: search.update)
        defer { report(placer.notices) }
        try add(files, to: &placer, log)
        try placer.finish()
        return symbolizer
    }

    /// Prints problems of files that were read on demand, and writes their tables to the cache.
    public static func finish(_ symbolizer: Symbolizer?) {
        for warning in symbolizer?.finish() ?? [] { Diagnostics.warning(warning.description) }
    }

    /// Whether another run loaded the files at other addresses: a kernel with another slide, or programs that are placed by
    /// the log's calls.
    public func isPlacedElsewhere(_ symbolizer: Symbolizer, in log: LogFile) -> Bool {
        if programs.contains(where: { (try? SymbolFile(argument: $0))?.placement == .linked }) { return true }
        return kaslr == .auto && SymbolPlacer.hasOtherSlide(symbolizer, in: log)
    }

    /// The arguments that name these files, the modules and the programs on another command line.
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

    /// The code of the files, at the addresses of ``symbolizer(for:from:to:reading:)``. Files need no symbols. Prints a
    /// warning for a file without code; throws if no file has code.
    public func code(for log: LogFile) throws -> CodeMap {
        let search = SearchLine()
        var placer = SymbolPlacer(
            log, into: Symbolizer(cache: noCache ? .off : .standard), kaslr: kaslr, needsNames: false,
            progress: search.update)
        defer { report(placer.notices) }
        try add(files, to: &placer, log)
        return try placer.code()
    }

    private func add(_ files: [String], to placer: inout SymbolPlacer, _ log: LogFile?) throws {
        do {
            for file in files { try placer.addKernel(SymbolFile(argument: file)) }
            if let (directory, list) = moduleFiles(for: log) {
                try placer.addModules(directory: directory, list: list)
            }
            for program in programs {
                if ProgramFiles.isDirectory(program) {
                    try placer.addPrograms(directory: program)
                } else {
                    try placer.addProgram(SymbolFile(argument: program))
                }
            }
        } catch let error as PlacementError {
            throw RuntimeError("\(error); \(SymbolOptions.text(error.remedy))")
        }
    }

    /// Where the files of kernel modules are, and the list of their addresses: the one that the option names, or else that
    /// which `--print modules` has found in the guest's memory; nil: that in the directory. Nothing without the option.
    public func moduleFiles(for log: LogFile?) -> (directory: String, list: String?)? {
        guard let modules else { return nil }
        let (directory, list) = SymbolOptions.modules(modules)
        guard list == nil, access("\(directory)/\(KernelModules.listName)", F_OK) != 0, let log else {
            return (directory, list)
        }
        let found = log.path.lastIndex(of: "/").map { log.path[..<$0] } ?? "."
        let own = "\(found)/\(KernelModules.listName)"
        return (directory, access(own, F_OK) == 0 ? own : nil)
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

    /// A remedy, in the options of these tools.
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
    /// Reads an argument; `nil` if the text is none.
    public init?(argument: String) {
        switch argument {
        case "auto": self = .auto
        case "off": self = .off
        default:
            guard let slide = SymbolFile.slide(argument) else { return nil }
            self = .slide(slide)
        }
    }

    /// The argument that has this value.
    public var defaultValueDescription: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .slide(let slide): String(slide)
        }
    }
}
