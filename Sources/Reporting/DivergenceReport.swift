// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import Symbolize

/// An alignment in a form for people and for programs.
///
///     let report = DivergenceReport(alignment: alignment, original: log, replay: other, symbolizer: symbols)
///     print(report.text(color: false))
///
/// The order of a report is that of the questions that somebody with a divergence has: what is it; where; in what do
/// the runs differ; what did both do last; what did each do next; how did they get there; what came in from outside
/// last; what could not be compared; how do I look closer.
public struct DivergenceReport {
    public let alignment: Alignment
    let original: LogFile
    let replay: LogFile
    let places: Places
    /// Arguments that name the symbol files again in the commands that a report ends with.
    let symbolArguments: [String]
    /// The state directory of the original, when a directory was given.
    let stateDirectory: String?

    /// - Parameters:
    ///   - symbolizer: names the addresses of the original.
    ///   - replaySymbolizer: names those of the replay; nil when both ran the same code.
    ///   - symbolArguments: what names the symbol files on a command line.
    ///   - stateDirectory: the directory of a recording made by tt-record.
    public init(
        alignment: Alignment, original: LogFile, replay: LogFile, symbolizer: Symbolizer?,
        replaySymbolizer: Symbolizer? = nil, symbolArguments: [String] = [], stateDirectory: String? = nil
    ) {
        self.alignment = alignment
        self.original = original
        self.replay = replay
        places = Places(original: symbolizer, replay: replaySymbolizer ?? symbolizer)
        self.symbolArguments = symbolArguments
        self.stateDirectory = stateDirectory
    }

    /// What names addresses, each once.
    public var symbolizers: [Symbolizer] {
        [places.original, places.replay === places.original ? nil : places.replay].compactMap { $0 }
    }

    func log(_ side: Side) -> LogFile { side == .original ? original : replay }

    /// Commands that look closer, each with what it is for.
    var nextCommands: [(purpose: String, command: String)] {
        guard let divergence = alignment.divergence else { return [] }
        let symbols = symbolArguments.map(DivergenceReport.quoted).joined(separator: " ")
        func dump(_ log: LogFile, _ clock: UInt64) -> String {
            let path = DivergenceReport.quoted(log.path)
            return "bts-dump \(symbols.isEmpty ? "" : symbols + " ")--around \(clock):20 \(path)"
        }
        let clock = divergence.difference?.clock ?? divergence.original.clock
        var commands = [
            ("the original's branches", dump(original, clock)),
            ("the replay's branches", dump(replay, clock &+ divergence.clockSkew)),
        ]
        if let stateDirectory, let ip = divergence.replay.ip ?? divergence.original.ip {
            let directory = DivergenceReport.quoted(stateDirectory)
            commands.append(
                ("a replay that waits for a debugger", "tt-replay \(directory) -- -S -gdb tcp::1234"))
            commands.append(
                (
                    "the debugger, stopped each time that instruction is reached",
                    "gdb -ex 'target remote :1234' -ex 'hbreak *0x\(String(ip, radix: 16))' -ex continue"
                ))
        }
        return commands
    }

    /// A word for a POSIX shell.
    static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "_-./,:@%+=".utf8.contains(byte)
                }
            }
        if isPlain { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}

extension FieldDifference.Value {
    /// The value as text; addresses and words hexadecimal, counters decimal.
    var text: String {
        switch self {
        case .address(let value), .word(let value): "0x" + String(value, radix: 16)
        case .number(let value): value == UInt64(UInt32.max) ? "unknown" : "\(value)"
        case .name(let name): name
        case .bytes(let bytes): FieldDifference.Value.hexadecimal(bytes)
        case .absent: "absent"
        }
    }

    /// Up to 32 bytes in hexadecimal digits.
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = bytes.prefix(32).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return bytes.count > 32 ? "\(digits)… (\(bytes.count) bytes)" : digits
    }
}
