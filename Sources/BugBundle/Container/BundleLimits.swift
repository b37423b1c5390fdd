// SPDX-License-Identifier: GPL-2.0-or-later

/// What a bundle may have at most. A bundle that exceeds a limit is refused before the excess is read.
public struct BundleLimits: Hashable, Sendable {
    /// Members besides the manifest.
    public var members = 20_000
    /// Bytes of all members.
    public var bytes: UInt64 = 64 << 30
    /// Bytes of the manifest.
    public var manifest: UInt64 = 4 << 20
    /// Bytes of all members for each byte of the file. A bundle whose members have less than ``smallBytes`` may have more.
    public var ratio: UInt64 = 1000
    /// Up to so many bytes the ratio does not matter.
    public var smallBytes: UInt64 = 64 << 20

    /// The standard limits.
    public init() {}

    /// The binary logarithm of the largest window that decompression may need: it bounds the memory.
    static let windowLog: Int32 = 27
    /// The largest member: eleven octal digits.
    static let memberSize: UInt64 = 1 << 33 - 1
}
