// SPDX-License-Identifier: GPL-2.0-or-later

// Bytes of a file, compared with the words of a format.
extension UnsafePointer<UInt8> {
    /// Whether the `count` bytes from here on begin with a word.
    @inline(__always)
    func begins(with word: StaticString, _ count: Int) -> Bool {
        guard count >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount where self[index] != word.utf8Start[index] { return false }
        return true
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are a word.
    @inline(__always)
    func isEqual(to word: StaticString) -> Bool {
        guard let baseAddress, count == word.utf8CodeUnitCount else { return false }
        return baseAddress.assumingMemoryBound(to: UInt8.self).begins(with: word, count)
    }
}
