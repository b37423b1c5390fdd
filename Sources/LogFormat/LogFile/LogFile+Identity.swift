// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

// MARK: - Identity of a log
extension LogFile {
    /// A hash over the header's identity, the file's size and every chunk's place, size and digests: logs with equal
    /// values hold the same records. Bodies are not read.
    ///
    /// For caches that belong to a log: it changes with every record that is written. It does not protect against a log
    /// that was made to collide.
    public var contentDigest: UInt64 {
        let header: [UInt64] = [
            self.header.nonce, self.header.createdUnixNanoseconds, fileSize, UInt64(chunks.count), lostRecords,
        ]
        var digest = LogFile.hash(header, 0)
        for chunk in chunks {
            let place: [UInt64] = [
                UInt64(chunk.stream.rawValue), UInt64(chunk.vcpu), UInt64(chunk.epoch), chunk.cell, UInt64(chunk.part),
                UInt64(truncatingIfNeeded: chunk.count), UInt64(chunk.flags.rawValue), chunk.offset, chunk.bodyHash,
                chunk.digests.path, chunk.digests.label, chunk.digests.position, chunk.digests.payload,
            ]
            digest = LogFile.hash(place, digest)
        }
        return digest
    }

    private static func hash(_ words: [UInt64], _ seed: UInt64) -> UInt64 {
        words.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, seed) }
    }
}
