// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// The files of the kernel modules that a run had loaded, each with its load address.
///
///     let modules = try KernelModules(directory: "/lib/modules/6.1.0-56-cloud-amd64", list: "proc-modules")
///     for file in modules.files { try symbolizer.add(file) }
///
/// The directory is searched with all below it for `NAME.ko` and `NAME.ko.debug`; of several files of one module that
/// with DWARF is taken. The list is a text as ``ModuleList`` reads it.
public struct KernelModules: Sendable {
    /// The name that a list has when none is given, in the directory.
    public static let listName = "proc-modules"

    /// The modules' files, each with its place.
    public private(set) var files: [SymbolFile] = []
    /// Modules of the list without a file that serves, by name.
    public private(set) var missing: [String] = []
    /// Files that would serve were they not compressed.
    public private(set) var compressed: [String] = []
    /// The list's lines that are no modules.
    public let badLines: Int
    private let listPath: String
    private let directory: String

    /// Reads a list and finds the files.
    ///
    /// - Parameters:
    ///   - directory: The files are in or below it.
    ///   - list: The list of modules; the file ``listName`` in the directory if `nil`.
    public init(directory: String, list: String? = nil) throws(SymbolError) {
        let listPath = list ?? "\(directory)/\(KernelModules.listName)"
        let loaded = try ModuleList(path: listPath)
        self.listPath = listPath
        self.directory = directory
        badLines = loaded.badLines
        let wanted = Set(loaded.entries.map(\.name))
        guard let found = KernelModules.search(directory, wanted) else {
            throw SymbolError(file: directory, kind: .cannotOpen(errno: errno))
        }
        for entry in loaded.entries {
            let candidates = found[entry.name] ?? []
            let whole = candidates.filter { !KernelModules.isCompressed($0) }.sorted()
            guard let path = whole.first(where: KernelModules.hasDebugInfo) ?? whole.first else {
                if let path = candidates.min() { compressed.append(path) } else { missing.append(entry.name) }
                continue
            }
            if let file = SymbolFile(path: path, module: entry) {
                files.append(file)
            } else {
                missing.append(entry.name)
            }
        }
    }

    /// What is missing, a line for people each.
    public var problems: [String] {
        func some(_ names: [String]) -> String {
            names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", …" : "")
        }
        var lines: [String] = []
        if badLines > 0 { lines.append("\(listPath): \(badLines) lines are no modules; they are passed over") }
        if !missing.isEmpty {
            lines.append("\(directory): has no file for \(missing.count) of the modules: \(some(missing))")
        }
        if !compressed.isEmpty {
            lines.append(
                "\(directory): \(compressed.count) modules are compressed; unpack them (xz -d, zstd -d, gzip -d): "
                    + some(compressed))
        }
        return lines
    }

    // MARK: - Files

    private static let endings = [".ko", ".ko.debug", ".ko.xz", ".ko.zst", ".ko.gz"]

    private static func isCompressed(_ path: String) -> Bool { !path.hasSuffix(".ko") && !path.hasSuffix(".debug") }

    /// The module of a file, by its name.
    private static func module(_ file: String) -> String? {
        endings.first { file.hasSuffix($0) }.map { ModuleList.normalized(String(file.dropLast($0.utf8.count))) }
    }

    /// Paths by the names of modules; `nil` if the directory cannot be read.
    private static func search(_ root: String, _ wanted: Set<String>) -> [String: [String]]? {
        var found: [String: [String]] = [:]
        let isRead = DirectoryWalk.visit(root) { name, path in
            guard let module = module(name), wanted.contains(module), MappedFile.exists(path) else { return false }
            found[module, default: []].append(path)
            return true
        }
        return isRead ? found : nil
    }

    /// Whether a module's file has DWARF.
    private static func hasDebugInfo(_ path: String) -> Bool {
        (try? ELFImage(path: path, machine: nil, sections: [:]))?.hasDebugInfo ?? false
    }
}

extension SymbolFile {
    /// A module's file, placed; `nil` if the list has no address for it.
    init?(path: String, module: ModuleList.Entry) {
        let sections = module.sections.filter { $0.value != 0 }
        if let origin = ModuleLinker.origin(of: sections) {
            self.init(path: path, slide: Int64(bitPattern: origin &- ModuleLinker.base))
            self.sections = sections
        } else if let address = module.address, address != 0 {
            self.init(path: path, placement: .address(address))
        } else {
            return nil
        }
    }
}
