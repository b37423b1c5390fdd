// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import DebugAdapter

/// The framing of messages from a client that is not trusted.
@Suite struct MessageReaderTests {
    private func items(_ text: String, inPiecesOf size: Int = .max) throws -> [MessageReader.Item] {
        var reader = MessageReader()
        var items: [MessageReader.Item] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            reader.append(rest.prefix(size))
            rest = rest.dropFirst(size)
            while let item = try reader.next() { items.append(item) }
        }
        return items
    }

    private func message(_ text: String) -> MessageReader.Item { .message(Array(text.utf8)) }

    @Test(arguments: [1, 2, 3, 7, Int.max]) func messagesComeInPieces(size: Int) throws {
        let text = "Content-Length: 2\r\n\r\n{}Content-Length: 5\r\nX: y\r\n\r\n[1,2]\r\n\r\ncontent-length:1\n\n7"
        #expect(try items(text, inPiecesOf: size) == [message("{}"), message("[1,2]"), message("7")])
    }

    @Test func anUnfinishedMessageWaits() throws {
        #expect(try items("Content-Length: 10\r\n\r\n{\"a\"").isEmpty)
        #expect(try items("Content-Le").isEmpty)
        #expect(try items("Content-Length: 0\r\n\r\n") == [message("")])
    }

    @Test func aHeaderWithoutALengthIsSkipped() throws {
        let found = try items("Hello: world\r\n\r\nContent-Length: 2\r\n\r\n{}")
        #expect(found == [.problem("a header has no Content-Length"), message("{}")])
    }

    /// The bytes of a message that is too long are not kept.
    @Test(arguments: [1000, 1 << 16]) func aMessageThatIsTooLongIsSkipped(size: Int) throws {
        let length = MessageReader.longestBody + 1
        var reader = MessageReader()
        reader.append(Array("Content-Length: \(length)\r\n\r\n".utf8))
        guard case .problem? = try reader.next() else {
            Issue.record("not reported")
            return
        }
        var left = length
        while left > 0 {
            reader.append([UInt8](repeating: 0x7b, count: min(size, left)))
            left -= min(size, left)
            #expect(try reader.next() == nil)
            #expect(reader.bufferedBytes == 0)
        }
        reader.append(Array("Content-Length: 1\r\n\r\n1".utf8))
        #expect(try reader.next() == message("1"))
    }

    @Test(arguments: [
        "Content-Length: -1\r\n\r\n", "Content-Length: 1e3\r\n\r\n", "Content-Length: 99999999999999999999\r\n\r\n",
    ])
    func aLengthThatIsNoNumberEndsTheStream(text: String) {
        #expect(throws: MessageReader.StreamError(description: "Content-Length is no number")) { try items(text) }
    }

    @Test func aHeaderThatNeverEndsIsRefused() {
        let text = String(repeating: "x", count: MessageReader.longestHeader)
        #expect(throws: MessageReader.StreamError.self) { try items(text) }
    }
}
