// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Checks `replay.bin` before QEMU reads it in a replay. LogFormat knows its contents.
enum QEMUInputLog {
    /// A version word, big-endian, and eight bytes of zero.
    static let headerSize: UInt64 = 12

    /// Whether QEMU closed the file: it writes the version word last, so a killed QEMU leaves zero.
    static func isClosed(_ place: OpenDirectory) throws(RunError) -> Bool {
        let file = try PlainFile(RunFiles.inputLogName, what: "QEMU's input log", in: place)
        let word = try file.head(4)
        return word.count == 4 && word != [0, 0, 0, 0]
    }

    /// The present identity of the file. It is not read if its size is not the recorded one.
    ///
    /// - Throws: ``RunError`` for a file with a hole, which QEMU could read endlessly.
    static func identity(_ place: OpenDirectory, like recorded: FileIdentity) throws(RunError) -> FileIdentity {
        let file = try PlainFile(RunFiles.inputLogName, what: "QEMU's input log", in: place)
        try file.requireNoHoles()
        guard file.size == recorded.size else { return FileIdentity(path: file.path, size: file.size, sha256: "") }
        return try FileIdentity(reading: file)
    }

    /// Copies a killed recording's input log and completes its header. QEMU replays the copy up to the last byte that was
    /// written out.
    static func repair(in place: OpenDirectory, to copy: OpenDirectory, qemu: QEMUProgram) throws(RunError) {
        guard let version = formatVersion(of: qemu) else {
            throw .refused(
                what: "replay of a killed recording",
                why: "its input log was not closed, and the version word that QEMU \(qemu.version) writes is unknown",
                remedy: .recordAgain)
        }
        let file = try PlainFile(RunFiles.inputLogName, what: "QEMU's input log", in: place)
        try file.requireNoHoles()
        var bytes = try file.contents(limit: 1 << 32)
        guard bytes.count > Int(headerSize) else {
            throw .refused(
                what: "replay of a killed recording", why: "QEMU had written nothing to its input log",
                remedy: .recordAgain)
        }
        withUnsafeBytes(of: version.bigEndian) { word in
            for index in 0..<4 { bytes[index] = word[index] }
        }
        try copy.replace(RunFiles.inputLogName, with: bytes)
    }

    /// REPLAY_VERSION of the known QEMU releases (QEMU, replay/replay.c).
    private static func formatVersion(of qemu: QEMUProgram) -> UInt32? {
        let parts = qemu.version.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        guard parts.count == 2 else { return nil }
        switch (parts[0], parts[1]) {
        case (7, 2), (10, 0): return 0xe0_200c
        case (11, 1): return 0xe0_200e
        default: return nil
        }
    }
}
