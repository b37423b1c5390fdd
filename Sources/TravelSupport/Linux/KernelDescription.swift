// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession

/// What a Linux kernel writes about itself for tools that read its memory (VMCOREINFO): lines of `KEY=VALUE`.
///
/// Linux keeps the text in a page of its own that begins with `OSRELEASE=`, from early in its boot on (kernel/crash_core.c).
struct KernelDescription {
    /// The text.
    let text: String
    private let values: [Substring: Substring]

    init(text: String) {
        self.text = text
        var values: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            values[line[..<equals]] = line[line.index(after: equals)...]
        }
        self.values = values
    }

    /// The text in a guest's memory; nil without a Linux kernel that has made it.
    init?(_ memory: GuestMemory) {
        let start = Array("OSRELEASE=".utf8)
        var page = 0
        while let found = memory.nextData(from: page), found + 4096 <= memory.size {
            page = found
            if let bytes = memory.bytes(at: page, count: 4096), bytes.starts(with: start) {
                // The text is made in one go; a page that only begins like it is another.
                let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                if text.contains("\nPAGESIZE=") {
                    self.init(text: text)
                    return
                }
            }
            page += 4096
        }
        return nil
    }

    /// The value of a key.
    subscript(key: String) -> Substring? { values[key[...]] }

    /// The run-time address of a variable.
    func symbol(_ name: String) -> UInt64? { self["SYMBOL(\(name))"].flatMap { UInt64($0, radix: 16) } }

    /// The offset of a member.
    func offset(_ structure: String, _ member: String) -> UInt64? {
        self["OFFSET(\(structure).\(member))"].flatMap { UInt64($0) }
    }

    /// The size of a structure.
    func size(_ structure: String) -> UInt64? { self["SIZE(\(structure))"].flatMap { UInt64($0) } }

    /// A number.
    func number(_ name: String) -> Int64? { self["NUMBER(\(name))"].flatMap { Int64($0) } }
}
