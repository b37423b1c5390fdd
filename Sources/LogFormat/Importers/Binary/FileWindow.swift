// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads a file forwards through a window: a stretch of bytes at any offset, up to the window's size.
struct FileWindow: ~Copyable {
    let file: InputFile
    /// Bytes of the file when it was opened.
    let fileSize: UInt64
    /// Why reading failed; nothing can be read then.
    private(set) var failure: Damage?
    private let size: Int
    private var buffer = ReusedBuffer()
    private var start: UInt64 = 0
    private var count = 0

    init(_ file: InputFile, size: Int = 1 << 20) {
        self.file = file
        self.size = size
        fileSize = file.size
    }

    /// The bytes at an offset; fewer at the end of the file. Valid until the next call.
    mutating func bytes(at offset: UInt64, count wanted: Int) -> UnsafeRawBufferPointer {
        let wanted = min(wanted, size)
        let isThere =
            offset >= start && offset - start <= UInt64(count) && UInt64(count) - (offset - start) >= UInt64(wanted)
        if !isThere { fill(offset) }
        guard offset >= start, offset - start < UInt64(count), let base = buffer.base else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let place = Int(offset - start)
        return UnsafeRawBufferPointer(start: base + place, count: min(wanted, count - place))
    }

    private mutating func fill(_ offset: UInt64) {
        guard failure == nil else { return }
        start = offset
        count = 0
        guard offset < fileSize else { return }
        let room = buffer.room(for: size)
        do throws(LogError) {
            count = Int(min(UInt64(try file.read(room, at: offset)), fileSize - offset))
        } catch {
            failure = Damage(
                file: file.path, offset: error.offset ?? offset, length: fileSize - offset, what: error.damageKind)
        }
    }
}
