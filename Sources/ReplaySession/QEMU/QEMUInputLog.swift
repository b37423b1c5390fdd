// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// What the session itself needs to know of `replay.bin` (its contents are LogFormat's business).
enum QEMUInputLog {
    /// A version word, big-endian, and eight bytes of zero.
    static let headerSize: UInt64 = 12

    /// Whether QEMU closed the file: it writes the version word last, so a killed QEMU leaves zero.
    static func isClosed(_ path: String) throws(SessionError) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(doing: "open QEMU's input log", path: path, code: errno) }
        defer { close(descriptor) }
        var version: UInt32 = 0
        let count = withUnsafeMutableBytes(of: &version) { read(descriptor, $0.baseAddress, $0.count) }
        return count == 4 && version != 0
    }

    /// A copy of a killed recording's input log that QEMU takes: it replays up to the last byte that was written out.
    static func repair(_ path: String, to copy: String, qemu: QEMUIdentity) throws(SessionError) {
        guard let version = formatVersion(of: qemu) else {
            throw .refused(
                what: "replay of a killed recording",
                why: "its input log was not closed, and the version that QEMU "
                    + "\(qemu.version) writes into it is not known here",
                remedy: "record again and let tt-record end the run")
        }
        var bytes = try Files.contents(path)
        guard bytes.count > Int(headerSize) else {
            throw .refused(
                what: "replay of a killed recording", why: "nothing of its input log had been written",
                remedy: "record again")
        }
        withUnsafeBytes(of: version.bigEndian) { word in
            for index in 0..<4 { bytes[index] = word[index] }
        }
        try Files.replace(copy, with: bytes)
    }

    /// REPLAY_VERSION of the QEMU releases that we know (QEMU, replay/replay.c).
    private static func formatVersion(of qemu: QEMUIdentity) -> UInt32? {
        let parts = qemu.version.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        guard parts.count == 2 else { return nil }
        switch (parts[0], parts[1]) {
        case (7, 2), (10, 0): return 0xe0_200c
        case (11, 1): return 0xe0_200e
        default: return nil
        }
    }
}
