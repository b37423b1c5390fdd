// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize

/// The symbol files of a run, each where it was loaded, and what there is to say about them.
final class RunSymbols: Sendable {
    let symbolizer: Symbolizer
    private let notices: [PlacementNotice]

    /// The files as a caller names them, each with its placement.
    struct Files {
        var kernels: [String] = []
        var programs: [String] = []
        var modules: String?
        var moduleList: String?
        var kaslr = KernelSlide.auto
        var cache = SymbolCache.standard
        var demangles = true
    }

    /// Reads the files, and places them by the calls in a log.
    init(_ files: Files, log: LogFile?) throws {
        let symbolizer = Symbolizer(cache: files.cache, demangles: files.demangles)
        var placer = SymbolPlacer(log, into: symbolizer, kaslr: files.kaslr)
        for file in files.kernels { try placer.addKernel(SymbolFile(argument: file)) }
        if let modules = files.modules { try placer.addModules(directory: modules, list: files.moduleList) }
        for program in files.programs {
            if ProgramFiles.isDirectory(program) {
                try placer.addPrograms(directory: program)
            } else {
                try placer.addProgram(SymbolFile(argument: program))
            }
        }
        try placer.finish()
        self.symbolizer = symbolizer
        notices = placer.notices
    }

    /// The files, and the notices, as JSON.
    var description: JSONValue {
        .object([
            (
                "modules",
                .list(
                    symbolizer.modules.map { module in
                        .object([
                            ("path", .text(module.path)), ("slide", .text(String(module.slide))),
                            ("from", .address(module.range.lowerBound)), ("to", .address(module.range.upperBound)),
                            ("symbols", .number(module.symbolCount)), ("functions", .number(module.functionCount)),
                        ])
                    })
            ), ("notices", .list(notices.map(\.json))),
        ])
    }
}

extension PlacementNotice {
    fileprivate var json: JSONValue {
        let remedy: String? =
            switch self.remedy {
            case .giveLoadAddress: "give-load-address"
            case .addAsKernel: "add-as-kernel"
            case nil: nil
            }
        return .object([
            ("is_warning", .flag(notice.severity != .note)), ("text", .text(notice.text)),
            ("remedy", .optional(remedy)),
        ])
    }
}
