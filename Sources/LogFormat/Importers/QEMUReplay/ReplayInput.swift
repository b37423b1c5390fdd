// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads big-endian integers from a file through a small window, and skips bytes without reading them.
struct ReplayInput: ~Copyable {
    static let windowSize = 256 << 10

    let file: InputFile
    let size: UInt64
    /// The offset of the next byte in the file.
    private(set) var offset: UInt64
    /// errno of a failed read; after it nothing can be read.
    private(set) var failure: Int32 = 0
    private var window: UnsafeMutableRawBufferPointer
    private var windowOffset: UInt64 = 0
    private var windowCount: UInt64 = 0

    init(file: InputFile, size: UInt64, offset: UInt64) {
        self.file = file
        self.size = size
        self.offset = offset
        window = .allocate(byteCount: ReplayInput.windowSize, alignment: 16)
    }

    deinit {
        window.deallocate()
    }

    var bytesLeft: UInt64 { size > offset ? size - offset : 0 }

    /// The next 1 to 8 bytes as a number; nil if there are fewer.
    mutating func integer(bytes count: Int) -> UInt64? {
        guard bytesLeft >= UInt64(count), fill(UInt64(count)) else { return nil }
        let start = Int(offset - windowOffset)
        var value: UInt64 = 0
        for index in 0..<count { value = value << 8 | UInt64(window[start + index]) }
        offset += UInt64(count)
        return value
    }

    /// Skips bytes. Returns false, and skips nothing, if there are fewer.
    mutating func skip(_ count: UInt64) -> Bool {
        guard bytesLeft >= count else { return false }
        offset += count
        return true
    }

    /// Makes sure that the window holds `count` bytes from the offset on.
    private mutating func fill(_ count: UInt64) -> Bool {
        if offset >= windowOffset, offset - windowOffset <= windowCount, windowCount - (offset - windowOffset) >= count
        {
            return true
        }
        guard failure == 0 else { return false }
        do throws(LogError) {
            let read = try file.read(window, at: offset)
            windowOffset = offset
            windowCount = UInt64(read)
            return windowCount >= count
        } catch {
            if case .cannotRead(let code) = error.kind { failure = code } else { failure = 5 }
            return false
        }
    }
}
