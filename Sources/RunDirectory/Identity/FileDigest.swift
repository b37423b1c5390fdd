// SPDX-License-Identifier: GPL-2.0-or-later

import CNettle

/// SHA-256 (FIPS 180-4), computed by nettle, which uses the processor's SHA instructions where it has them.
package struct FileDigest {
    private var context = sha256_ctx()

    package init() { nettle_sha256_init(&context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        nettle_sha256_update(&context, bytes.count, bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    }

    /// 64 hexadecimal digits, as `sha256sum` prints them.
    package mutating func finish() -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The 32 bytes of the digest.
    private mutating func digest() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_SIZE))
        nettle_sha256_digest(&context, digest.count, &digest)
        return digest
    }

    /// The 32 bytes of the digest of bytes in memory.
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = FileDigest()
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.digest()
    }
}
