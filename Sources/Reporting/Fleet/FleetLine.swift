// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import FoundationEssentials

/// The result of one pair of many, as one line of JSON.
public struct FleetLine: Codable, Hashable, Sendable {
    /// The version of the schema.
    public static let currentVersion = 1

    /// The version of the schema.
    public var version = FleetLine.currentVersion
    /// The place of the pair in the list, from 0.
    public var index: Int
    /// The original as the list names it.
    public var original: String
    /// The replay as the list names it.
    public var replay: String
    /// 0 no difference, 1 different, 2 trouble or not comparable.
    public var status: Int32
    /// The verdict; nil for trouble.
    public var verdict: Verdict.Kind?
    /// The vCPU that the verdict is about.
    public var vcpu: UInt16?
    /// Where the original is at the divergence.
    public var brctr: Counter?
    /// The instruction count there.
    public var icount: Counter?
    /// The instruction there.
    public var ip: HexWord?
    /// The symbol at `ip`.
    public var symbol: String?
    /// What happened, in one sentence.
    public var summary: String?
    /// Possible causes, the best explanation first.
    public var causes: [String] = []
    /// Why the pair could not be compared.
    public var error: String?

    /// The line of a pair that was compared.
    public init(index: Int, original: String, replay: String, document: DivergenceDocument) {
        let place = document.vcpus.first { $0.vcpu == document.vcpu }?.divergence
        (self.index, self.original, self.replay) = (index, original, replay)
        (status, verdict, vcpu) = (document.exitStatus, document.verdict, document.vcpu)
        (brctr, icount, ip) = (place?.original.brctr, place?.original.icount, place?.original.ip)
        (symbol, summary) = (place?.original.symbol, document.summary)
        causes = place?.causes.map(\.text) ?? []
    }

    /// The line of a pair that could not be compared.
    public init(index: Int, original: String, replay: String, error: String) {
        (self.index, self.original, self.replay) = (index, original, replay)
        (status, self.error) = (2, error)
    }

    /// Reads a line. Throws the decoder's error for anything else.
    public init(json: String) throws {
        self = try JSONDecoder().decode(FleetLine.self, from: Data(json.utf8))
    }

    /// The line, without a newline. Throws the encoder's error.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
