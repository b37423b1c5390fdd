// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The input of the guest on its first serial port. It is recorded, so that a replay needs none.
public enum SerialInput: Sendable, Equatable {
    /// The bytes of a file, from the beginning on.
    case file(String)
    /// The bytes of a descriptor of the tool, such as its standard input, as they come.
    case descriptor(Int32)
    /// Text that is sent when the guest has printed other text.
    case script(SerialScript)
}

/// Steps of a dialogue with the guest, one a line:
///
///     # a comment
///     expect "login: "
///     send "root\n"
///     wait 0.5
///
/// Text is in double quotes with the escapes `\n`, `\r`, `\t`, `\"`, `\\` and `\xNN`.
public struct SerialScript: Sendable, Equatable {
    /// One step.
    public enum Step: Sendable, Equatable {
        /// Wait until the guest has printed these bytes, after those of the last `expect`.
        case expect([UInt8])
        /// Send these bytes to the guest.
        case send([UInt8])
        /// Seconds of the host.
        case wait(Double)
    }

    /// The steps in their order.
    public var steps: [Step]

    /// A script of these steps.
    public init(steps: [Step]) { self.steps = steps }

    /// Reads a script.
    ///
    /// - Throws: ``RunError/file(path:problem:)`` that names the line.
    public init(path: String) throws(RunError) {
        let bytes = try PlainFile(path, what: "serial script").contents(limit: 1 << 20)
        steps = []
        let text = String(decoding: bytes, as: UTF8.self)
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let trimmed = line.drop { $0 == " " || $0 == "\t" }
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let step = SerialScript.step(trimmed) else {
                throw .file(
                    path: path,
                    problem:
                        "line \(index + 1) is not expect \"TEXT\", send \"TEXT\" or wait SECONDS: \(trimmed.prefix(80))"
                )
            }
            steps.append(step)
        }
    }

    private static func step(_ line: Substring) -> Step? {
        let word = line.prefix { $0 != " " && $0 != "\t" }
        let rest = line[word.endIndex...].drop { $0 == " " || $0 == "\t" }
        switch word {
        case "expect": return quoted(rest).flatMap { $0.isEmpty ? nil : .expect($0) }
        case "send": return quoted(rest).map { .send($0) }
        case "wait":
            guard let seconds = Double(rest), seconds.isFinite, seconds >= 0 else { return nil }
            return .wait(seconds)
        default: return nil
        }
    }

    private static func quoted(_ text: Substring) -> [UInt8]? {
        var rest = Array(text.utf8)[...]
        guard rest.popFirst() == UInt8(ascii: "\"") else { return nil }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return rest.allSatisfy { $0 == 0x20 || $0 == 0x09 } ? bytes : nil }
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count >= 2
                else { return nil }
                rest = rest.dropFirst(2)
                bytes.append(value)
            default: return nil
            }
        }
        return nil
    }
}
