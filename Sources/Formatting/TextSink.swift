// SPDX-License-Identifier: GPL-2.0-or-later

/// Where rows, views and reports write their text.
///
/// A library writes to the sink that its caller hands it, and never to standard output itself:
///
///     let sink = MemorySink()
///     sink.line("two words")
///     print(sink.text)  // "two words\n"
///
/// Rows come by the million, so writers collect them (``TextBuffer``) and hand over large pieces.
public protocol TextSink: AnyObject {
    /// Takes bytes of UTF-8 text. The bytes are valid only during the call.
    func write(_ bytes: UnsafeRawBufferPointer)
    /// Whether the reader went away: further text is discarded, and the writer may stop.
    var isClosed: Bool { get }
}

extension TextSink {
    /// Whether the reader went away; a sink without a reader is never closed.
    public var isClosed: Bool { false }

    /// Writes text unchanged.
    public func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }

    /// Writes text and a newline.
    public func line(_ text: String) {
        write(text)
        write("\n")
    }
}

/// A sink that keeps everything in memory: for tests, and for text that is passed on.
public final class MemorySink: TextSink {
    /// The bytes written so far.
    public private(set) var bytes: [UInt8] = []

    /// Makes an empty sink.
    public init() {}

    /// Appends the bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }

    /// The bytes written so far, as text; bytes that are not UTF-8 become U+FFFD.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
