// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
import RunDirectory

/// A request of the client.
struct Request: Sendable {
    /// The client's number of it.
    var number: Int64
    var command: String
    var arguments: JSONValue

    /// Reads a message's body.
    ///
    /// - Throws: ``RequestError`` if it is no JSON object with `seq` and `command`.
    init?(_ body: [UInt8]) throws(RequestError) {
        guard let document = try? JSONDecoder().decode(JSONValue.self, from: Data(body)) else {
            throw RequestError("a message is no JSON")
        }
        guard let type = document["type"]?.string else { throw RequestError("a message has no type") }
        // Answers to requests of the adapter's: it makes none.
        guard type == "request" else { return nil }
        guard let number = document["seq"]?.integer, let command = document["command"]?.string else {
            throw RequestError("a request has no seq or no command")
        }
        self.number = number
        self.command = command
        arguments = document["arguments"] ?? .object([:])
    }

    /// A string argument.
    func string(_ name: String) -> String? { arguments[name]?.string }

    /// An integer argument.
    func integer(_ name: String) -> Int64? { arguments[name]?.integer }

    /// A count of rows or bytes: 0 if it is missing or negative, and no more than a limit.
    func count(_ name: String, upTo limit: Int64 = 1 << 30) -> Int64 { min(max(integer(name) ?? 0, 0), limit) }

    /// An argument that must be there.
    func required(_ name: String) throws(RequestError) -> String {
        guard let value = string(name) else { throw RequestError("\(command) needs the argument \(name), a string") }
        return value
    }

    /// An integer argument that must be there.
    func requiredInteger(_ name: String) throws(RequestError) -> Int64 {
        guard let value = integer(name) else { throw RequestError("\(command) needs the argument \(name), a number") }
        return value
    }

    /// The objects of a list; empty if there is none.
    func list(_ name: String) -> [JSONValue] { arguments[name]?.array ?? [] }

    /// A memory reference, with the argument `offset` added.
    func address() throws(RequestError) -> UInt64 {
        let text = try required("memoryReference")
        let digits = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let digits else { throw RequestError("\(text) is no memory reference") }
        return digits &+ UInt64(bitPattern: integer("offset") ?? 0)
    }

    /// Whether integers are asked for in hexadecimal form.
    var isHexadecimal: Bool { arguments["format"]?["hex"]?.bool ?? false }
}

/// Why a request was not carried out: a sentence for the user.
public struct RequestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The sentence.
    public let description: String

    /// Makes an error.
    public init(_ description: String) { self.description = description }
}

extension JSONValue {
    /// A number.
    static func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }

    /// An address; a reference to memory in the protocol.
    static func address(_ value: UInt64) -> JSONValue { .string("0x\(String(value, radix: 16))") }

    /// The members of an object; none for anything else.
    var members: [String: JSONValue] { if case .object(let members) = self { members } else { [:] } }

    /// This object with other members, which are left out where they are nil.
    func adding(_ others: [String: JSONValue?]) -> JSONValue {
        var list = members
        for (name, value) in others { if let value { list[name] = value } }
        return .object(list)
    }

    /// This object without a member.
    func removing(_ name: String) -> JSONValue {
        var list = members
        list[name] = nil
        return .object(list)
    }

    /// One line.
    var line: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Doubles that JSON cannot express do not come out of its reader.
        return (try? encoder.encode(self)).map { Array($0) } ?? Array("{}".utf8)
    }
}
