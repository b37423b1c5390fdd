// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The GNU build ID of an ELF file: it stays the same when the file is moved, copied or stripped, and changes when the file
/// is built from something else.
///
///     let identity = try BuildID(path: "vmlinux")             // kept with a recording
///     identity?.file(besides: ["boot/vmlinux"])               // found again, although vmlinux was rebuilt
public struct BuildID: Hashable, Sendable, CustomStringConvertible {
    /// The bytes of the ID, 20 for a SHA-1.
    public let bytes: [UInt8]

    /// The ID of an ELF file; `nil` if the file has none.
    public init?(path: String) throws(SymbolError) {
        let image = try ELFImage(path: path, machine: nil, mustBeLinked: false)
        guard !image.buildID.isEmpty else { return nil }
        bytes = image.buildID
    }

    /// The ID that a text of hexadecimal digits stands for; `nil` if the text is none.
    public init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count >= 4, digits.count <= 128, digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for at in stride(from: 0, to: digits.count, by: 2) {
            guard let high = hexadecimalDigit(digits[at]), let low = hexadecimalDigit(digits[at + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// Two lower-case hexadecimal digits a byte.
    public var description: String { hexadecimalText(bytes) }

    /// A file with this ID: the first of some paths that has it, else the debug file under `/usr/lib/debug/.build-id`, else
    /// one in the cache of the debuginfod client. `nil` if there is none. Nothing is fetched from the network.
    ///
    /// A debug file has names and source lines, but no code.
    public func file(besides paths: [String]) -> String? {
        let candidates = paths + DebugFiles.paths(identity: description)
        return candidates.first { MappedFile.exists($0) && (try? BuildID(path: $0)) == self }
    }
}
