// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The memory of a guest whose engine keeps it in a file, mapped read-only.
///
/// The offset in the file is the physical address: guests with more than 3 GiB are refused. Memory of firmware and
/// devices is not in it. While the guest runs, its contents change.
public final class GuestMemory {
    /// Bytes.
    public let size: Int
    private let path: String
    private let base: UnsafeRawPointer
    private let descriptor: Int32

    /// The largest guest whose physical addresses are offsets in the file, in MiB.
    static let largest: UInt64 = 3072
    private static let page = 4096
    /// SEEK_DATA and SEEK_HOLE of lseek(2), which Swift's Glibc lacks.
    private static let (seekData, seekHole): (Int32, Int32) = (3, 4)

    /// Creates the file with holes only.
    init(creating path: String, size: Int) throws(RunError) {
        unlink(path)
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system(doing: "create", path: path, code: errno) }
        guard ftruncate(file, off_t(size)) == 0,
            let memory = mmap(nil, size, PROT_READ, MAP_SHARED, file, 0), memory != MAP_FAILED
        else {
            let code = errno
            close(file)
            throw .system(doing: "map", path: path, code: code)
        }
        self.path = path
        self.size = size
        descriptor = file
        base = UnsafeRawPointer(memory)
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: base), size)
        close(descriptor)
    }

    /// Up to 8 bytes at a physical address, little-endian; nil outside of the memory.
    public func value(at address: UInt64, bytes: Int = 8) -> UInt64? {
        guard (1...8).contains(bytes), size >= bytes, address <= UInt64(size - bytes) else { return nil }
        var value: UInt64 = 0
        for index in (0..<bytes).reversed() {
            value = value << 8 | UInt64(base.load(fromByteOffset: Int(address) + index, as: UInt8.self))
        }
        return value
    }

    /// The bytes at a physical address; nil outside of the memory.
    package func bytes(at address: Int, count: Int) -> [UInt8]? {
        guard count >= 0, size >= count, (0...size - count).contains(address) else { return nil }
        return Array(UnsafeRawBufferPointer(start: base + address, count: count))
    }

    /// The first page from an offset on that the guest may have touched; nil if there is none.
    package func nextData(from offset: Int) -> Int? {
        guard offset < size else { return nil }
        let found = data(after: offset)
        return found < size ? found / GuestMemory.page * GuestMemory.page : nil
    }

    /// Words of two memories that differ.
    public struct Differences: Sendable, Equatable {
        /// Physical addresses of 8-byte words, ascending; the first ones only if there are many.
        public var words: [UInt64] = []
        /// All words that differ.
        public var count = 0
        /// Pages of 4 KiB in which they are.
        public var pages = 0

        /// Differences with these words.
        public init(words: [UInt64] = [], count: Int = 0, pages: Int = 0) {
            self.words = words
            self.count = count
            self.pages = pages
        }
    }

    /// Compares two memories word by word. Pages that neither guest has touched are not read.
    ///
    /// - Parameter limit: the number of addresses to keep.
    public func differences(from other: GuestMemory, limit: Int = 1 << 16) -> Differences {
        var result = Differences()
        let end = min(size, other.size)
        var offset = 0
        while offset < end {
            let next = min(data(after: offset), other.data(after: offset))
            guard next < end else { break }
            offset = next / GuestMemory.page * GuestMemory.page
            if memcmp(base + offset, other.base + offset, min(GuestMemory.page, end - offset)) != 0 {
                result.pages += 1
                for at in stride(from: offset, to: min(offset + GuestMemory.page, end - 7), by: 8)
                where base.load(fromByteOffset: at, as: UInt64.self)
                    != other.base.load(fromByteOffset: at, as: UInt64.self)
                {
                    result.count += 1
                    if result.words.count < limit { result.words.append(UInt64(at)) }
                }
            }
            offset += GuestMemory.page
        }
        return result
    }

    /// The end of the stretch of data that was found last, so that most pages need no system call.
    private var dataEnd = 0
    private var dataStart = 0

    /// The first offset from `offset` on at which the file has data.
    private func data(after offset: Int) -> Int {
        if offset >= dataStart, offset < dataEnd { return offset }
        let start = lseek(descriptor, off_t(offset), GuestMemory.seekData)
        guard start >= 0 else { return size }
        let end = lseek(descriptor, start, GuestMemory.seekHole)
        (dataStart, dataEnd) = (Int(start), end > start ? Int(end) : size)
        return Int(start)
    }

    /// Forgets where the file has data: the guest runs on.
    func guestRuns() { (dataStart, dataEnd) = (0, 0) }
}
