// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc
import LogFormat
import Symbolize

extension SymbolPlacer {
    /// `--modules DIR[,LIST]`. A module whose file is missing or of no use costs its names, nothing else.
    package mutating func addModules(_ argument: String) throws {
        var (directory, list) = (argument, String?.none)
        if access(argument, F_OK) != 0, let comma = argument.lastIndex(of: ",") {
            directory = String(argument[..<comma])
            list = String(argument[argument.index(after: comma)...])
        }
        let modules = try KernelModules(directory: directory, list: list)
        for problem in modules.problems { Diagnostics.warning(problem) }
        let first = symbolizer.modules.count
        var withoutLines: [String] = []
        for file in modules.files {
            do throws(SymbolError) {
                let module = try symbolizer.add(file, machine: log?.header.machine)
                for warning in module.warnings where warning.kind != .noDWARF {
                    Diagnostics.warning(warning.description)
                }
                if module.warnings.contains(where: { $0.kind == .noDWARF }) { withoutLines.append(file.path) }
            } catch {
                Diagnostics.warning(error.description)
            }
        }
        if let file = withoutLines.first {
            Diagnostics.warning(
                "\(directory): \(withoutLines.count) modules have no DWARF (\(file)): functions only, no source lines")
        }
        checkModules(from: first)
    }

    /// Modules whose functions are not where the log's calls go.
    private mutating func checkModules(from first: Int) {
        guard let log = judge else { return }
        let targets = kernelTargets(of: log)
        for (index, module) in symbolizer.modules.enumerated().dropFirst(first) {
            guard let fit = symbolizer.fit(module: index, targets: targets, slide: module.slide), fit.isWrong else {
                continue
            }
            Diagnostics.warning(
                "\(log.path): \(module.path) does not belong to it, or stands elsewhere: only \(fit.fitText) in it "
                    + "fit; names from it are wrong")
        }
    }
}
