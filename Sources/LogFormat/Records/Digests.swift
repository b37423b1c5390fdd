// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The parts of a chunk's columns that are hashed separately (`enum ttlog_class`).
public enum DigestClass: Int, Sendable, Hashable, CaseIterable {
    /// Branches: from, to.
    case path = 0
    /// Branches: label.
    case label
    /// Branches: instruction counts. Events: kind, validity, clock, icount, ip.
    case position
    /// Events: info, aux, compared payload.
    case payload

    /// The class's name as the tools print it.
    public var name: String {
        switch self {
        case .path: "path"
        case .label: "label"
        case .position: "position"
        case .payload: "payload"
        }
    }
}

/// XXH3-64 digests of one chunk's canonical columns, by class; 0 for a class that the stream has no columns of.
public struct Digests: Hashable, Sendable, BitwiseCopyable {
    /// The digest of the `from` and `to` columns of branches.
    public var path: UInt64
    /// The digest of the label columns of branches.
    public var label: UInt64
    /// The digest of the instruction counts of branches, or of kinds and positions of events.
    public var position: UInt64
    /// The digest of the contents of events.
    public var payload: UInt64

    /// Makes a set of digests.
    public init(path: UInt64 = 0, label: UInt64 = 0, position: UInt64 = 0, payload: UInt64 = 0) {
        self.path = path
        self.label = label
        self.position = position
        self.payload = payload
    }

    /// The digest of a class.
    public subscript(digestClass: DigestClass) -> UInt64 {
        get {
            switch digestClass {
            case .path: path
            case .label: label
            case .position: position
            case .payload: payload
            }
        }
        set {
            switch digestClass {
            case .path: path = newValue
            case .label: label = newValue
            case .position: position = newValue
            case .payload: payload = newValue
            }
        }
    }
}
