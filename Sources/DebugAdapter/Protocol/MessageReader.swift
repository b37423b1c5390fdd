// SPDX-License-Identifier: GPL-2.0-or-later

/// Splits a stream of bytes into messages of the Debug Adapter Protocol: header lines, an empty line, and a body whose length
/// in bytes the header `Content-Length` gives (Debug Adapter Protocol, Base Protocol).
///
///     var reader = MessageReader()
///     reader.append(bytes)
///     while let item = try reader.next() { … }
///
/// The client is not trusted. A header has a limit, and so has a body: the bytes of a longer one are skipped.
public struct MessageReader {
    /// What was read.
    public enum Item: Equatable, Sendable {
        /// The body of a message.
        case message([UInt8])
        /// A message that was skipped, and why.
        case problem(String)
    }

    /// The stream is no sequence of messages: where the next message begins is not known.
    public struct StreamError: Error, Equatable, Sendable, CustomStringConvertible {
        /// One sentence.
        public let description: String
    }

    /// The longest header block, in bytes.
    public static let longestHeader = 4096
    /// The longest body, in bytes.
    public static let longestBody = 8 << 20

    private var received: [UInt8] = []
    private var body: Int?
    private var skipped = 0

    /// Makes a reader at the beginning of a stream.
    public init() {}

    /// Bytes that are kept until the rest of their message comes.
    public var bufferedBytes: Int { received.count }

    /// Takes what has come.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        let dropped = min(skipped, bytes.count)
        skipped -= dropped
        received.append(contentsOf: bytes.dropFirst(dropped))
    }

    /// The next message; nil until more bytes come.
    public mutating func next() throws(StreamError) -> Item? {
        if body == nil {
            guard let header = try takeHeader() else { return nil }
            switch try MessageReader.length(header) {
            case nil: return .problem("a header has no Content-Length")
            case let length? where length > MessageReader.longestBody:
                skip(length)
                return .problem("a message of \(length) bytes is longer than \(MessageReader.longestBody)")
            case let length: body = length
            }
        }
        guard let length = body, received.count >= length else { return nil }
        body = nil
        let message = Array(received.prefix(length))
        received.removeFirst(length)
        return .message(message)
    }

    private mutating func skip(_ length: Int) {
        let here = min(length, received.count)
        received.removeFirst(here)
        skipped = length - here
    }

    /// The lines before the empty line. A line may end without a carriage return.
    private mutating func takeHeader() throws(StreamError) -> [Substring]? {
        // Empty lines before a header mean nothing.
        received.removeFirst(received.prefix { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }.count)
        let limit = min(received.count, MessageReader.longestHeader)
        var start = 0
        var end: Int?
        while let newline = received[start..<limit].firstIndex(of: UInt8(ascii: "\n")) {
            let line = received[start..<newline]
            start = newline + 1
            if line.isEmpty || line == [UInt8(ascii: "\r")] {
                end = start
                break
            }
        }
        guard let end else {
            guard received.count < MessageReader.longestHeader else {
                throw StreamError(description: "no header ends within \(MessageReader.longestHeader) bytes")
            }
            return nil
        }
        let text = String(decoding: received[..<end], as: UTF8.self)
        received.removeFirst(end)
        return text.split(whereSeparator: \.isNewline)
    }

    /// The value of Content-Length; nil without one.
    private static func length(_ lines: [Substring]) throws(StreamError) -> Int? {
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { continue }
            let digits = parts[1].filter { $0 != " " && $0 != "\t" }
            guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let length = Int(digits) else {
                throw StreamError(description: "Content-Length is no number")
            }
            return length
        }
        return nil
    }
}
