// SPDX-License-Identifier: GPL-2.0-or-later

/// A place of a run, as a user names it.
///
/// | text | place |
/// | --- | --- |
/// | `N` | after N transitions: brctr is N |
/// | `@ICOUNT` | before the instruction that ICOUNT others have begun before, as the log counts them |
/// | `event:N` | before the instruction of the event with that ordinal, from 0, in the log's event stream |
/// | `event:KIND[@NUMBER][:NTH]` | before the instruction of the NTH such event, from 1 (``EventPattern``) |
/// | `SYMBOL[:NTH]`, `*ADDRESS[:NTH]` | the NTH time, from 1, that a transition leads to this address |
/// | `console:LINE` | after the last byte of this line, from 1, of the console was written |
/// | `divergence` | before the instruction after which the run and its partner part |
/// | `end`, `end-K` | K transitions before the end of the run |
///
/// Numbers are decimal, or hexadecimal with `0x`. `_` and `,` group digits.
public enum Place: Hashable, Sendable {
    /// `N`.
    case transitions(UInt64)
    /// `@ICOUNT`.
    case instructions(UInt64)
    /// `event:N`.
    case event(UInt64)
    /// `event:KIND[@NUMBER][:NTH]`.
    case events(EventPattern, nth: UInt64)
    /// `SYMBOL[:NTH]`.
    case symbol(String, nth: UInt64)
    /// `*ADDRESS[:NTH]`.
    case address(UInt64, nth: UInt64)
    /// `console:LINE`.
    case console(line: UInt64)
    /// `divergence`.
    case divergence
    /// `end-K`.
    case end(minus: UInt64)

    /// Reads a place; nil if the text is none.
    public init?(_ text: String) {
        guard let first = text.unicodeScalars.first else { return nil }
        switch first {
        case "0"..."9":
            guard let number = Place.number(text) else { return nil }
            self = .transitions(number)
        case "@":
            guard let number = Place.number(text.dropFirst()) else { return nil }
            self = .instructions(number)
        case "*":
            guard let (name, nth) = Place.counted(text.dropFirst()), let address = Place.number(name) else {
                return nil
            }
            self = .address(address, nth: nth)
        default:
            guard let place = Place.named(text) else { return nil }
            self = place
        }
    }

    private static func named(_ text: String) -> Place? {
        if text == "divergence" { return .divergence }
        if text == "end" { return .end(minus: 0) }
        if text.hasPrefix("end-") { return number(text.dropFirst(4)).map { .end(minus: $0) } }
        if text.hasPrefix("event:") {
            let rest = text.dropFirst(6)
            if let ordinal = number(rest) { return .event(ordinal) }
            guard let (name, nth) = counted(rest), let pattern = EventPattern(name) else { return nil }
            return .events(pattern, nth: nth)
        }
        if text.hasPrefix("console:") {
            guard let line = number(text.dropFirst(8)), line > 0 else { return nil }
            return .console(line: line)
        }
        return counted(text[...]).map { .symbol(String($0.name), nth: $0.nth) }
    }

    /// `NAME[:NTH]`. The text after the last colon is a count if it is a number: C++ names have colons.
    private static func counted(_ text: Substring) -> (name: Substring, nth: UInt64)? {
        guard !text.isEmpty else { return nil }
        guard let colon = text.lastIndex(of: ":"), let nth = number(text[text.index(after: colon)...]) else {
            return text.hasSuffix(":") ? nil : (text, 1)
        }
        return nth > 0 && colon > text.startIndex ? (text[..<colon], nth) : nil
    }

    static func number(_ text: some StringProtocol) -> UInt64? {
        let digits = String(text).filter { $0 != "_" && $0 != "," }
        guard let first = digits.utf8.first, first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") else { return nil }
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        return isHexadecimal ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
    }
}

extension Place: CustomStringConvertible {
    /// The text that names the place.
    public var description: String {
        switch self {
        case .transitions(let number): "\(number)"
        case .instructions(let number): "@\(number)"
        case .event(let number): "event:\(number)"
        case .events(let pattern, let nth): "event:\(pattern)" + (nth == 1 ? "" : ":\(nth)")
        case .symbol(let name, let nth): nth == 1 ? name : "\(name):\(nth)"
        case .address(let address, let nth): "*0x\(String(address, radix: 16))" + (nth == 1 ? "" : ":\(nth)")
        case .console(let line): "console:\(line)"
        case .divergence: "divergence"
        case .end(let distance): distance == 0 ? "end" : "end-\(distance)"
        }
    }
}

/// An exact point of a run: before an instruction, between two states of the processor.
///
/// Two positions of one instruction count differ where an interrupt is delivered: brctr and ip tell them apart.
public struct LogPosition: Hashable, Sendable {
    /// Transitions before it; nil where the log has no branches.
    public var brctr: UInt64?
    /// Instructions begun before it, as the log counts them.
    public var icount: UInt64
    /// The linear address of the next instruction; nil where only a stopped guest shows it.
    public var ip: UInt64?
    /// rcx, which tells iterations of a repeated instruction apart; nil where only a stopped guest shows it.
    public var rcx: UInt64?

    /// Makes a position.
    public init(brctr: UInt64?, icount: UInt64, ip: UInt64? = nil, rcx: UInt64? = nil) {
        self.brctr = brctr
        self.icount = icount
        self.ip = ip
        self.rcx = rcx
    }
}

/// A point of a run as QEMU counts.
///
/// At the count of an interrupt or of a restored fault the guest has several states: before and after each delivery.
public struct EnginePlace: Hashable, Sendable, Comparable {
    /// QEMU's instruction count: the log's less the restored faults before.
    public var icount: UInt64
    /// Deliveries at this count that have taken place.
    public var deliveries: Int

    /// Makes a place.
    public init(icount: UInt64, deliveries: Int = 0) {
        self.icount = icount
        self.deliveries = deliveries
    }

    /// The order of a run.
    public static func < (a: EnginePlace, b: EnginePlace) -> Bool {
        (a.icount, a.deliveries) < (b.icount, b.deliveries)
    }
}

/// A position and how QEMU gets there.
public struct Destination: Hashable, Sendable {
    /// The position; its ip is what the log expects.
    public var position: LogPosition
    /// The same for QEMU.
    public var engine: EnginePlace

    /// Makes a destination.
    public init(position: LogPosition, engine: EnginePlace) {
        self.position = position
        self.engine = engine
    }
}

/// Why a place of a run cannot be found.
public struct PlaceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence, with what is missing.
    public let description: String

    /// Makes an error.
    public init(_ description: String) { self.description = description }
}
