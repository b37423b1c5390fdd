// SPDX-License-Identifier: GPL-2.0-or-later

extension QEMUReplayLog {
    /// Bytes of a console that are counted at most.
    private static let consoleLimit = 256 << 20

    /// QEMU's instruction count of each byte that the guest wrote to a character device, in order.
    ///
    /// - Throws: ``LogError`` if the file cannot be read.
    package func consoleBytes() throws(LogError) -> [UInt64] {
        var counts: [UInt64] = []
        var cursor = events()
        while let event = cursor.next() {
            guard event.kind == .charWrite else { continue }
            // i32 result, i32 bytes written, big-endian.
            var bytes: (UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0)
            var failure: LogError?
            let got = withUnsafeMutableBytes(of: &bytes) { buffer -> Int in
                do throws(LogError) { return try file.read(buffer, at: event.payload.lowerBound) } catch {
                    failure = error
                }
                return 0
            }
            if let failure { throw failure }
            guard got == 4 else { break }
            let result = UInt32(bytes.0) << 24 | UInt32(bytes.1) << 16 | UInt32(bytes.2) << 8 | UInt32(bytes.3)
            let size = min(Int(Int32(bitPattern: result)), 1 << 16)
            guard size > 0, counts.count < QEMUReplayLog.consoleLimit else { continue }
            counts.append(contentsOf: repeatElement(event.icount, count: size))
        }
        return counts
    }
}
