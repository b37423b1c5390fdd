// SPDX-License-Identifier: GPL-2.0-or-later

/// The line that XenTT's hypervisor prints on its console when a replay misses an event:
///
///     TT_LOG:(cpu(1): ttd_replay_current_events) Error:Replay missed event:TTD_EXCEPTION(16),info:do_page_fault(14):
///     now (brctr:533717718, ip:0xc029ec30), event (brctr:533717582, ip:0xc029ec30),
///
/// It is one line; text around it and line breaks in it are passed over.
public struct MissedEventLine: Hashable, Sendable {
    /// A position: a branch counter, and the instruction if the line has it.
    public struct Place: Hashable, Sendable {
        /// The branch counter.
        public var brctr: UInt64
        /// The address of the instruction.
        public var ip: UInt64?
    }

    /// The name of the event in XenTT's words; empty if the line has none.
    public var event: String
    /// The processor of the host that replayed; not the guest's vCPU.
    public var processor: UInt64?
    /// Where the replay was when it noticed.
    public var now: Place
    /// Where the event is in the recording.
    public var expected: Place

    /// Reads a line; nil if it does not have both positions.
    public init?(_ line: String) {
        let text = line.utf8.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        let bytes = text[...]
        guard let missed = MissedEventLine.after("missed event", in: bytes),
            let now = MissedEventLine.place("now", in: missed),
            let expected = MissedEventLine.place("event", in: missed)
        else { return nil }
        self.now = now
        self.expected = expected
        let name = missed.drop { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: " ") }
        event = String(decoding: name.prefix { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ",") }, as: UTF8.self)
        processor = MissedEventLine.after("cpu(", in: bytes).flatMap { MissedEventLine.number($0) }
    }

    /// The rest of a text after the first occurrence of some words.
    private static func after(_ words: String, in text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        text.firstRange(of: Array(words.utf8)).map { text[$0.upperBound...] }
    }

    /// The position `NAME (brctr:N, ip:0xN)`.
    private static func place(_ name: String, in text: ArraySlice<UInt8>) -> Place? {
        guard let inside = after("\(name) (", in: text)?.prefix(while: { $0 != UInt8(ascii: ")") }),
            let brctr = after("brctr:", in: inside).flatMap({ number($0) })
        else { return nil }
        return Place(brctr: brctr, ip: after("ip:", in: inside).flatMap { number($0) })
    }

    /// The number at the beginning of a text, decimal or after 0x.
    private static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
        let text = text.drop { $0 == UInt8(ascii: " ") }
        let word = String(decoding: text.prefix { $0 > 0x2f && $0 < 0x7b && $0 != UInt8(ascii: ":") }, as: UTF8.self)
        return word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : UInt64(word)
    }
}
