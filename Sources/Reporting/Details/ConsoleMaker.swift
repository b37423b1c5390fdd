// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat
import RunDirectory

/// Cuts the serial consoles of two runs at the divergence.
///
/// QEMU's `replay.bin` has the instruction count of each byte that the guest wrote. That count is smaller than the log's
/// by the faults before it, so the cut is never after the first byte in which the consoles differ.
struct ConsoleMaker {
    let original: LogFile
    let replay: LogFile
    /// The original's instruction count at the divergence, if known.
    let icount: UInt64?

    private static let sizeLimit = 8 << 20
    private static let linesBefore = 40
    private static let linesAfter = 20
    private static let lineLimit = 400

    /// The consoles; nil if neither run has one.
    func console() -> DivergenceDocument.ConsoleItem? {
        let directory = Self.directory(original)
        let (a, b) = (Self.read(directory), Self.read(Self.directory(replay)))
        guard !a.isEmpty || !b.isEmpty else { return nil }
        let common = Self.commonLength(a, b)
        let written = icount.flatMap { self.written(before: $0, directory) }
        let cut = min(common, written ?? common)
        return DivergenceDocument.ConsoleItem(
            isPositioned: written != nil, bytesBefore: Counter(UInt64(cut)),
            before: Array(Self.lines(a[..<cut]).suffix(Self.linesBefore)),
            original: Array(Self.lines(a[cut...]).prefix(Self.linesAfter)),
            replay: Array(Self.lines(b[cut...]).prefix(Self.linesAfter)), originalBytes: Counter(UInt64(a.count)),
            replayBytes: Counter(UInt64(b.count)))
    }

    private static func commonLength(_ a: [UInt8], _ b: [UInt8]) -> Int {
        let shorter = min(a.count, b.count)
        return (0..<shorter).first { a[$0] != b[$0] } ?? shorter
    }

    private static func directory(_ log: LogFile) -> String {
        log.path.lastIndex(of: "/").map { $0 == log.path.startIndex ? "/" : String(log.path[..<$0]) } ?? "."
    }

    private static func read(_ directory: String) -> [UInt8] {
        guard let directory = try? OpenDirectory(directory),
            let file = try? PlainFile("serial.log", what: "console", in: directory)
        else { return [] }
        return (try? file.head(sizeLimit)) ?? []
    }

    private static func lines(_ bytes: ArraySlice<UInt8>) -> [String] {
        var lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false).map { line in
            String(decoding: line.filter { $0 != 0x0d }.prefix(lineLimit), as: UTF8.self)
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    /// The number of bytes that the guest wrote before an instruction count; nil if no input log shows it.
    private func written(before icount: UInt64, _ directory: String) -> Int? {
        let paths = ["\(directory)/replay.bin", "\(directory)/../../replay.bin"]
        guard let path = paths.first(where: { access($0, R_OK) == 0 }),
            let bytes = try? QEMUReplayLog(path: path).consoleBytes()
        else { return nil }
        return bytes.prefix { $0 < icount }.count
    }
}
