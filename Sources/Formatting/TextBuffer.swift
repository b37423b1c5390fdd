// SPDX-License-Identifier: GPL-2.0-or-later

/// A growing stretch of bytes, for text that is made millions of lines at a time.
///
///     var text = TextBuffer()
///     text.append("count ")
///     text.appendDecimal(42)
///     text.write(to: sink)
///
/// Numbers are formatted in place (`TextBuffer+Numbers.swift`); text from files is escaped for its reader
/// (`TextBuffer+Escapes.swift`).
public struct TextBuffer: ~Copyable {
    @usableFromInline var start: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    @usableFromInline var count = 0

    /// Makes an empty buffer.
    ///
    /// - Parameter capacity: The bytes that it holds before it grows.
    public init(capacity: Int = 1 << 16) {
        self.capacity = max(capacity, 64)
        start = .allocate(capacity: self.capacity)
    }

    deinit { start.deallocate() }

    /// Removes the text and keeps the memory.
    public mutating func removeAll() { count = 0 }

    /// The number of bytes.
    @inlinable public var size: Int { count }

    /// Lends the bytes.
    public borrowing func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Writes the text to a sink and removes it.
    public mutating func write(to sink: any TextSink) {
        if count > 0 { sink.write(UnsafeRawBufferPointer(start: start, count: count)) }
        count = 0
    }

    /// Makes room for more bytes.
    @inlinable @inline(__always)
    mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    @usableFromInline @inline(never)
    mutating func grow(_ more: Int) {
        capacity = max(capacity &* 2, count &+ more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: start, count: count)
        start.deallocate()
        start = larger
    }

    /// Removes bytes at the end; the buffer must have at least this number.
    @inlinable @inline(__always)
    mutating func removeLast(_ bytes: Int) { count &-= bytes }

    /// Appends one byte.
    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        start[count] = byte
        count &+= 1
    }

    /// Appends a text of the program.
    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a text of the program without a check: there must be room.
    @inlinable @inline(__always)
    mutating func put(_ text: StaticString) {
        (start + count).initialize(from: text.utf8Start, count: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }

    /// Appends bytes as they are.
    @inlinable @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (start + count).initialize(from: source, count: bytes.count)
        count &+= bytes.count
    }

    /// Appends bytes as they are.
    @inlinable @inline(__always)
    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { append($0) }
    }

    /// Appends a text unchanged.
    public mutating func appendText(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    /// Appends a part of the text again; the range must be inside the text.
    @inline(__always)
    public mutating func appendCopy(_ range: Range<Int>) {
        reserve(range.count)
        (start + count).update(from: start + range.lowerBound, count: range.count)
        count &+= range.count
    }

    /// Appends spaces.
    @inlinable @inline(__always)
    public mutating func appendSpaces(_ number: Int) {
        var left = number
        while left > 0 {
            append(0x20)
            left &-= 1
        }
    }
}
