// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CZlib
import Glibc

/// Finds the separate debug information of a program: by build ID under /usr/lib/debug, by `.gnu_debuglink`, in the
/// cache of the debuginfod client; and the file that dwz moved common parts to (`.gnu_debugaltlink`, `.debug_sup`).
/// Nothing is fetched from the network.
enum DebugFiles {
    /// A candidate that was looked at and must not be used, with the reason; warnings for the user.
    struct Search: Sendable {
        var found: ELFImage?
        /// The CRC that the link asks for, when the file was found through it.
        var checksum: UInt32?
        var rejected: [SymbolError] = []
    }

    static let root = "/usr/lib/debug"

    /// Looks for the debug file of a program that has no DWARF (or no symbols) itself.
    static func find(for image: ELFImage) -> Search {
        var search = Search()
        let identity = image.buildID.count > 2 ? hexadecimalText(image.buildID) : nil
        if let identity {
            let path = "\(root)/.build-id/\(identity.prefix(2))/\(identity.dropFirst(2)).debug"
            if let found = open(path, for: image, &search) {
                search.found = found
                return search
            }
        }
        var checksum: GElf_Word = 0
        // The link is a name without directories.
        if let text = dwelf_elf_gnu_debuglink(image.handle, &checksum), text.pointee != 0, strchr(text, 0x2f) == nil {
            let name = String(cString: text)
            let directory = realDirectory(image.path)
            let paths = ["\(directory)/\(name)", "\(directory)/.debug/\(name)", "\(root)\(directory)/\(name)"]
            for path in paths {
                guard let found = open(path, for: image, &search) else { continue }
                var candidate = search
                (candidate.found, candidate.checksum) = (found, checksum)
                // A checksum takes a pass over the file, and so is made here only if there is another file to take.
                if paths.contains(where: { $0 != path && MappedFile.exists($0) }), let wrong = verify(candidate) {
                    search.rejected.append(wrong)
                    continue
                }
                return candidate
            }
        }
        if let identity {
            for directory in debuginfodDirectories() {
                if let found = open("\(directory)/\(identity)/debuginfo", for: image, &search) {
                    search.found = found
                    return search
                }
            }
        }
        return search
    }

    /// Whether the file found through a link has the CRC that the link asks for.
    static func verify(_ search: Search) -> SymbolError? {
        guard let file = search.found, let expected = search.checksum else { return nil }
        let bytes = file.original.bytes
        let found = UInt32(
            truncatingIfNeeded: crc32_z(0, bytes.start.assumingMemoryBound(to: Bytef.self), bytes.count))
        return found == expected
            ? nil : SymbolError(file: file.path, kind: .wrongChecksum(expected: expected, found: found))
    }

    /// The alternate file of a file that dwz worked on; a warning where it is missing.
    static func alternate(of image: ELFImage, warnings: inout [SymbolError]) -> ELFImage? {
        var name: String
        var identity: [UInt8]
        if let old = alternateLink(image.rawSection(".gnu_debugaltlink")) {
            (name, identity) = old
        } else if let new = supplementary(image.rawSection(".debug_sup"), isSupplement: 0) {
            (name, identity) = new
        } else {
            return nil
        }
        let text = hexadecimalText(identity)
        var paths = [name.hasPrefix("/") ? name : "\(realDirectory(image.path))/\(name)"]
        if identity.count > 2 {
            paths.append("\(root)/.build-id/\(text.prefix(2))/\(text.dropFirst(2)).debug")
            paths += debuginfodDirectories().map { "\($0)/\(text)/debuginfo" }
        }
        for path in paths where MappedFile.exists(path) {
            guard let found = try? ELFImage(path: path, machine: nil, mustBeLinked: false) else { continue }
            let supplement = supplementary(found.rawSection(".debug_sup"), isSupplement: 1)
            if found.buildID == identity || supplement?.identity == identity { return found }
        }
        warnings.append(SymbolError(file: image.path, kind: .noAlternate(name)))
        return nil
    }

    // MARK: - Where to look

    /// Where the debug file of a build ID may be.
    static func paths(identity: String) -> [String] {
        ["\(root)/.build-id/\(identity.prefix(2))/\(identity.dropFirst(2)).debug"]
            + debuginfodDirectories().flatMap { ["\($0)/\(identity)/executable", "\($0)/\(identity)/debuginfo"] }
    }

    /// $DEBUGINFOD_CACHE_PATH, else the XDG cache directory's, else the one of older clients.
    private static func debuginfodDirectories() -> [String] {
        func environment(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let path = environment("DEBUGINFOD_CACHE_PATH") { return [path] }
        var paths: [String] = []
        if let path = environment("XDG_CACHE_HOME") { paths.append("\(path)/debuginfod_client") }
        if let home = environment("HOME") {
            paths.append("\(home)/.cache/debuginfod_client")
            paths.append("\(home)/.debuginfod_client_cache")
        }
        return paths
    }

    static func realDirectory(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return directoryName(path) }
        defer { free(resolved) }
        return directoryName(String(cString: resolved))
    }

    /// Opens a candidate; a file of another build is noted as rejected.
    private static func open(_ path: String, for image: ELFImage, _ search: inout Search) -> ELFImage? {
        guard MappedFile.exists(path) else { return nil }
        do throws(SymbolError) {
            let found = try ELFImage(path: path, machine: image.machine, sections: image.sections)
            // The link of a file may name the file itself.
            if found.file.isSame(as: image.file) { return nil }
            if !found.buildID.isEmpty && !image.buildID.isEmpty && found.buildID != image.buildID {
                throw SymbolError(
                    file: path,
                    kind: .wrongBuildID(
                        expected: hexadecimalText(image.buildID), found: hexadecimalText(found.buildID)))
            }
            return found
        } catch {
            search.rejected.append(error)
            return nil
        }
    }

    // MARK: - The links

    /// A name, a build ID. (libdwelf reads this too, but only of a `Dwarf`, for which all sections are inflated; here it
    /// is asked before a kept table is used.)
    private static func alternateLink(_ bytes: Bytes) -> (name: String, identity: [UInt8])? {
        guard let text = bytes.string(0), text.pointee != 0 else { return nil }
        return (String(cString: text), Array(bytes.from(UInt64(strlen(text)) &+ 1).buffer.prefix(64)))
    }

    /// DWARF 5, section 7.3.6: version, whether this is the supplementary file, name, length and bytes of a checksum.
    /// libdw 0.188 does not read it.
    private static func supplementary(_ bytes: Bytes, isSupplement: UInt8) -> (name: String, identity: [UInt8])? {
        guard bytes.load(0, as: UInt16.self) == 5, bytes.load(2) == isSupplement, let name = bytes.string(3) else {
            return nil
        }
        let at = 4 &+ UInt64(strlen(name))
        // A LEB128 number; checksums are shorter than 128 bytes.
        guard let length: UInt8 = bytes.load(at), let identity = bytes.slice(at &+ 1, UInt64(length)) else {
            return nil
        }
        return (String(cString: name), Array(identity.buffer.prefix(64)))
    }

    // MARK: - Packages

    /// The package of split units (.dwp) beside a program or its debug file.
    static func package(beside programs: [ELFImage]) -> String? {
        for program in programs {
            var names = [program.path + ".dwp"]
            if program.path.hasSuffix(".debug") { names.append(program.path.dropLast(6) + ".dwp") }
            for name in names where MappedFile.exists(name) { return name }
        }
        return nil
    }
}

/// The directory of a path's last part.
func directoryName(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Two digits a byte.
func hexadecimalText(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
