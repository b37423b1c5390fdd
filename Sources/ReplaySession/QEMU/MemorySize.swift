// SPDX-License-Identifier: GPL-2.0-or-later

/// An amount of guest memory: `64`, `64M`, `2G`, as QEMU's `-m` takes it.
public struct MemorySize: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 1 MiB ... 1 TiB, in MiB.
    public var mebibytes: UInt64

    /// An amount in MiB.
    public init(mebibytes: UInt64) { self.mebibytes = mebibytes }

    /// nil for anything that is no integral number of MiB from 1 MiB to 1 TiB.
    public init?(_ text: String) {
        var digits = Substring(text)
        var scale: UInt64 = 1
        if let last = text.last, !last.isNumber {
            digits = digits.dropLast()
            switch last {
            case "M", "m": scale = 1
            case "G", "g": scale = 1024
            default: return nil
            }
        }
        guard let number = UInt64(digits) else { return nil }
        let (product, overflows) = number.multipliedReportingOverflow(by: scale)
        guard !overflows, product >= 1, product <= 1 << 20 else { return nil }
        mebibytes = product
    }

    /// `128M`.
    public var description: String { "\(mebibytes)M" }

    /// Reads `128M`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let size = MemorySize(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an amount of memory")
        }
        self = size
    }

    /// Writes `128M`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
