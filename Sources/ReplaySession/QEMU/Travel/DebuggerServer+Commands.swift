// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The commands of the debugger's `monitor`.
extension DebuggerServer {
    func monitor(_ digits: Substring) throws -> [UInt8] {
        let bytes = stride(from: 0, to: digits.utf8.count - 1, by: 2).compactMap { index in
            UInt8(digits.dropFirst(index).prefix(2), radix: 16)
        }
        let line = String(decoding: bytes, as: UTF8.self)
        let words = line.split(separator: " ", maxSplits: 1)
        let text: String
        if words.first == "tt" {
            text = try command(words.count > 1 ? String(words[1]) : "")
        } else {
            text = try look(line)
        }
        return text.isEmpty ? Array("OK".utf8) : DebuggerServer.hexadecimal(text)
    }

    private func command(_ line: String) throws -> String {
        let before = session.current
        do {
            let answer = try withoutBreakpoints { try commands(line) }
            if answer.hasMoved { hasMoved = true }
            return answer.text.hasSuffix("\n") ? answer.text : answer.text + "\n"
        } catch is Interruption {
            hasMoved = true
            return "interrupted\n"
        } catch let error as RunError {
            throw error
        } catch {
            try lookAgain()
            guard session.current != before else { return "error: \(error)\n" }
            hasMoved = true
            return "error: \(error)\nthe guest has moved: stepi shows where it is\n"
        }
    }

    static func hexadecimal(_ text: String) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return text.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
