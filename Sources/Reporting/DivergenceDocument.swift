// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat

/// The report as a document for programs (docs/divergence.md describes it). 64-bit counters are decimal strings,
/// addresses and words hexadecimal ones; what is not there is left out.
struct DivergenceDocument: Encodable {
    /// Goes up when a field changes its meaning or goes away.
    static let currentVersion = 1

    var schema = "tt-analyze diverge"
    var version = DivergenceDocument.currentVersion
    var verdict: String
    var detail: String?
    var exitStatus: Int32
    var summary: String
    var reasons: [String]?
    var moved: Moved?
    var original: Log
    var replay: Log
    var vcpu: UInt16?
    var vcpus: [VCPU]
    var caveats: [CaveatItem]
    var benign: [String: String]
    var statistics: Statistics
    var commands: [Command]

    struct Moved: Encodable {
        var transitions: String
        var instructions: String?
    }

    struct Log: Encodable {
        var path: String
        var recordingUUID: String?
        var run: String
        var recorder: String
        var isClosed: Bool
    }

    struct VCPU: Encodable {
        var vcpu: UInt16
        var verdict: String
        var comparedFrom: String
        var comparedTo: String
        var branchesCompared: String
        var eventsCompared: String
        /// By class; a class without a difference is not there.
        var firsts: [String: First]
        var divergence: DivergenceItem?
    }

    struct First: Encodable {
        var from: String
        var to: String
        var isExact: Bool
    }

    struct DivergenceItem: Encodable {
        var original: Position
        var replay: Position
        var fields: [Field]
        var endReason: String?
        var lastCommonBranches: [BranchItem]
        var lastCommonEvents: [EventItem]
        var originalNext: Next
        var replayNext: Next
        var convergence: ConvergenceItem?
        var callStack: Stack
        var lastInput: EventItem?
    }

    struct Position: Encodable {
        var brctr: String
        var icount: String?
        var ip: String?
        var symbol: String?
        var source: [String]?
    }

    struct Field: Encodable {
        var name: String
        var original: String?
        var replay: String?
    }

    struct Next: Encodable {
        var branches: [BranchItem]
        var events: [EventItem]
    }

    struct BranchItem: Encodable {
        var brctr: String
        var icount: String?
        var from: String
        var to: String
        var label: String
        var fromSymbol: String?
        var toSymbol: String?
        var source: String?
    }

    struct EventItem: Encodable {
        var brctr: String
        var icount: String?
        var stream: String
        var kind: String
        var ip: String?
        var symbol: String?
        var info: UInt32
        var address: String?
        var values: [String]
        var details: String
    }

    struct ConvergenceItem: Encodable {
        var originalBranches: String
        var replayBranches: String
        var agreedBranches: String
        var isOpenEnded: Bool
    }

    struct Stack: Encodable {
        var branchesSeen: String
        var frames: [Frame]

        struct Frame: Encodable {
            var entry: String
            var callSite: String
            var callSiteSymbol: String?
            var target: String
            var targetSymbol: String?
            var brctr: String
        }
    }

    struct CaveatItem: Encodable {
        var kind: String
        var side: String?
        var vcpu: UInt16?
        var from: String?
        var to: String?
        var text: String
    }

    struct Statistics: Encodable {
        var bytesRead: String
        var chunksByDigest: String
        var chunksDecoded: String
    }

    struct Command: Encodable {
        var purpose: String
        var command: String
    }
}
