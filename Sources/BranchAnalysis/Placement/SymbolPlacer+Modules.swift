// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

extension SymbolPlacer {
    /// Adds the kernel modules that a list names, each at the address that the list has for it.
    ///
    /// A module whose file is missing or cannot be read only costs its names: a notice reports it.
    ///
    /// - Parameters:
    ///   - directory: The files (`.ko`) are in or below it.
    ///   - list: The modules and their addresses (``ModuleList``); the file ``KernelModules/listName`` in the directory
    ///     if `nil`.
    public mutating func addModules(directory: String, list: String? = nil) throws(SymbolError) {
        let modules = try KernelModules(directory: directory, list: list)
        for problem in modules.problems { warn(problem) }
        let first = symbolizer.modules.count
        var withoutLines: [String] = []
        for file in modules.files {
            do throws(SymbolError) {
                let module = try symbolizer.add(file, machine: log?.header.machine)
                for warning in module.warnings where warning.kind != .noDWARF { warn(warning.description) }
                if module.warnings.contains(where: { $0.kind == .noDWARF }) { withoutLines.append(file.path) }
            } catch {
                warn(error.description)
            }
        }
        if let file = withoutLines.first {
            warn("\(directory): \(withoutLines.count) modules have no DWARF (\(file)): functions only, no source lines")
        }
        checkModules(from: first)
    }

    /// Warns about modules whose functions are not where the log's calls go.
    private mutating func checkModules(from first: Int) {
        guard let log = labeledLog else { return }
        let targets = kernelTargets(of: log)
        for (index, module) in symbolizer.modules.enumerated().dropFirst(first) {
            guard let fit = symbolizer.fit(module: index, targets: targets, slide: module.slide), fit.isWrong else {
                continue
            }
            warn(
                "\(log.path): \(module.path) does not belong to it, or was loaded elsewhere: only \(fit.fitText) in it "
                    + "fit; names from it are wrong")
        }
    }
}
