// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Names as offsets into one block of NUL-terminated bytes, each distinct name once: small, and fit to be stored as it
/// is. Id 0 is the empty name.
struct StringPool: Sendable {
    typealias ID = UInt32

    private(set) var bytes: [UInt8] = [0]
    private var ids: [String: ID] = [:]

    /// The id of a C string, or 0 for a null pointer or when the pool is full (4 GiB).
    mutating func intern(_ text: UnsafePointer<CChar>?) -> ID {
        guard let text, text.pointee != 0 else { return 0 }
        let name = String(cString: text)
        if let id = ids[name] { return id }
        let length = strlen(text)
        guard bytes.count + length < Int(ID.max) else { return 0 }
        let id = ID(bytes.count)
        text.withMemoryRebound(to: UInt8.self, capacity: length + 1) {
            bytes.append(contentsOf: UnsafeBufferPointer(start: $0, count: length + 1))
        }
        ids[name] = id
        return id
    }

    /// Forgets what only building needs.
    mutating func seal() {
        ids = [:]
    }

    /// The name behind an id; bytes that are not UTF-8 come out repaired.
    subscript(id: ID) -> String {
        bytes.withUnsafeBufferPointer { pool in
            guard Int(id) < pool.count else { return "" }
            let tail = UnsafeBufferPointer(rebasing: pool[Int(id)...])
            return String(decoding: tail.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Whether the name behind `id` has exactly these bytes.
    func matches(_ id: ID, _ name: [UInt8]) -> Bool {
        let start = Int(id)
        guard start + name.count < bytes.count, bytes[start + name.count] == 0 else { return false }
        for index in name.indices where bytes[start + index] != name[index] { return false }
        return true
    }
}
