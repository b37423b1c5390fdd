// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat

/// QEMU's replay.bin as a list of entries that a test can read, make up and change.
///
///     var recording = try ReplayBinEditor(text: """
///         instruction 100
///         interrupt
///         instruction 50
///         char-read-all 68656c6c6f
///         shutdown-guest-shutdown
///         end
///         """)
///     try recording.move(recording.positions(of: .interrupt)[0], by: 7)
///     try recording.write(to: path)
///
/// A line is an entry: its kind as ``ReplayEventKind`` names it, then its number (`instruction`, `clock-host`, …) or
/// its bytes in hexadecimal (`char-read-all`: the bytes read; others: the payload, zeros if left out).
public struct ReplayBinEditor: Sendable {
    public struct Entry: Hashable, Sendable {
        public var kind: ReplayEventKind
        public var payload: [UInt8]
    }

    /// The first word of the file; 0 as a killed QEMU leaves it.
    public var version: UInt32 = 0xe0200c
    public var entries: [Entry] = []

    /// The entries of a file, up to the first bytes that make no sense.
    public init(path: String) throws {
        let log = try QEMUReplayLog(path: path)
        let bytes = try ReplayBinEditor.read(path)
        version = log.version
        var cursor = log.events()
        while let event = cursor.next() {
            entries.append(
                Entry(
                    kind: event.kind,
                    payload: Array(bytes[Int(event.payload.lowerBound)..<Int(event.payload.upperBound)])))
        }
    }

    public init(text: String) throws {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ")
            guard let name = words.first else { continue }
            guard let kind = ReplayEventKind(rawValue: String(name)),
                let payload = ReplayBinEditor.payload(kind, words.dropFirst().first)
            else { throw AssemblyError(line: number + 1, problem: "not an entry of a replay.bin: \(line)") }
            entries.append(Entry(kind: kind, payload: payload))
        }
    }

    /// The file's bytes.
    public var bytes: [UInt8] {
        var result = ReplayBinEditor.bigEndian(UInt64(version), 4) + [UInt8](repeating: 0, count: 8)
        for entry in entries {
            let code = ReplayEventKind.allCases.firstIndex(of: entry.kind) ?? 0
            result.append(UInt8(code))
            result += entry.payload
        }
        return result
    }

    public func write(to path: String) throws {
        try ReplayBinEditor.write(bytes, to: path)
    }

    /// Indexes of the entries of a kind.
    public func positions(of kind: ReplayEventKind) -> [Int] {
        entries.indices.filter { entries[$0].kind == kind }
    }

    /// Moves the entry with that index by a number of instructions: later, or earlier if it is negative. Other entries
    /// stay. Throws if there are fewer instructions between it and its neighbour.
    public mutating func move(_ index: Int, by instructions: Int64) throws {
        let entry = entries.remove(at: index)
        let later = instructions > 0
        let candidates = later ? Array(index..<entries.count) : Array((0..<index).reversed())
        guard let place = candidates.first(where: { entries[$0].kind == .instruction }) else {
            throw AssemblyError(line: index, problem: "no instructions to move the entry over")
        }
        let count = ReplayBinEditor.number(entries[place].payload)
        let distance = instructions.magnitude
        guard count > distance else {
            throw AssemblyError(line: index, problem: "only \(count) instructions to move the entry over")
        }
        let first = later ? distance : count - distance
        entries.replaceSubrange(
            place...place, with: [ReplayBinEditor.run(first), entry, ReplayBinEditor.run(count - first)])
    }

    /// Keeps the first `count` bytes of a file.
    public static func truncate(_ path: String, to count: Int) throws {
        guard Glibc.truncate(path, off_t(count)) == 0 else { throw TestFileError(path: path, errno: errno) }
    }

    // MARK: Bytes

    private static func run(_ instructions: UInt64) -> Entry {
        Entry(kind: .instruction, payload: bigEndian(instructions, 4))
    }

    private static func number(_ payload: [UInt8]) -> UInt64 {
        payload.reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }

    private static func payload(_ kind: ReplayEventKind, _ word: Substring?) -> [UInt8]? {
        switch kind {
        case .instruction: return word.flatMap { UInt64($0) }.map { bigEndian($0, 4) }
        case .clockHost, .clockVirtualRT, .asyncBH, .asyncBHOneShot, .asyncBlock, .audioOut:
            return word.flatMap { UInt64($0) }.map { bigEndian($0, 8) }
        case .charReadAll:
            return word.flatMap(hexadecimal).map { bigEndian(UInt64($0.count), 4) + $0 }
        case .charWrite: return word.map(hexadecimal) ?? [UInt8](repeating: 0, count: 8)
        default: return word.map(hexadecimal) ?? []
        }
    }

    private static func hexadecimal(_ text: Substring) -> [UInt8]? {
        let digits = Array(text)
        guard digits.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(digits[index...index + 1]), radix: 16) else { return nil }
            result.append(byte)
        }
        return result
    }

    private static func read(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw TestFileError(path: path, errno: errno) }
        defer { fclose(file) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return result }
            result += buffer[..<count]
        }
    }

    /// Makes a file of these bytes.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "wb") else { throw TestFileError(path: path, errno: errno) }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw TestFileError(path: path, errno: errno) }
    }
}
