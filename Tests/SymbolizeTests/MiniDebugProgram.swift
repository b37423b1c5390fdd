// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Foundation

@testable import Symbolize

/// A stripped library with MiniDebugInfo, made as Fedora makes it: `.gnu_debugdata` has the symbols that the dynamic symbol
/// table lacks.
struct MiniDebugProgram {
    /// The stripped library.
    let path: String
    /// The file with the symbols, not compressed.
    let symbols: String
    /// The library before it was stripped.
    let whole: String

    init(in scratch: ScratchDirectory) throws {
        let source = try scratch.write(Programs.second.utf8, to: "second.c")
        (path, symbols, whole) = (scratch.path("p.so"), scratch.path("symbols"), scratch.path("whole.so"))
        _ = try run(["gcc", "-O1", "-shared", "-fPIC", "-o", whole, source])
        _ = try run(["objcopy", "-S", "--remove-section", ".comment", "--keep-symbol", "same", whole, symbols])
        _ = try run(["xz", "--force", "--keep", symbols])
        _ = try run(["strip", "--strip-all", "-o", path, whole])
        _ = try run(["objcopy", "--add-section", ".gnu_debugdata=\(symbols).xz", path])
    }

    /// The library with another content of `.gnu_debugdata`, which goes to the end of the file.
    func bytes(_ original: [UInt8], with packed: [UInt8]) throws -> [UInt8] {
        let image = try ELFImage(path: path, machine: .x86_64)
        var number = 0
        ELFImage.forEachSection(image.handle) { section in
            if let name = ELFImage.name(of: section, in: image.handle), String(cString: name) == ".gnu_debugdata" {
                number = elf_ndxscn(section.handle)
            }
        }
        let header = Int(image.file.bytes.load(40, as: UInt64.self) ?? 0) + number * 64
        var bytes = original
        bytes.replaceSubrange(header + 24..<header + 40, with: little(bytes.count) + little(packed.count))
        return bytes + packed
    }

    private func little(_ value: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}
