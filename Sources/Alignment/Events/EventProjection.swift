// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What of events two logs can be compared by: what only one recorder saw is taken out of both.
struct EventProjection: Sendable {
    /// Both logs have the same features: events are compared as they are, and so are their digests.
    let isWhole: Bool
    private let features: FileHeader.Features
    /// Both logs have the operands of accesses (ports in registers, msr numbers, leaves), or neither has.
    private let agreesOnOperands: Bool

    init(_ a: FileHeader.Features, _ b: FileHeader.Features) {
        let other: FileHeader.Features = [.branches, .windows]
        isWhole = a.subtracting(other) == b.subtracting(other)
        features = isWhole ? FileHeader.Features(rawValue: .max) : a.intersection(b)
        agreesOnOperands = a.contains(.accessValues) == b.contains(.accessValues)
    }

    /// Whether both recorders record events of the kind.
    func includes(_ kind: EventKind) -> Bool {
        switch kind {
        case .interrupt, .exception, .softwareInterrupt: features.contains(.causes)
        case .mmioRead, .mmioWrite: features.contains(.mmio)
        case .context: features.contains(.context)
        case .state: features.contains(.state)
        case _ where kind.usualStream == .access: features.contains(.accesses)
        default: true
        }
    }

    /// The validity bits of a record that both logs can have; `other`: the bits of the record it is compared with.
    func validity(_ validity: EventValidity, against other: EventValidity, of kind: EventKind) -> EventValidity {
        var result = validity.subtracting(.tsc)
        if !features.contains(.icount) { result.remove(.icount) }
        if !features.contains(.rcx) { result.remove(.rcx) }
        if !comparesValues(of: kind) { result.remove(.value) }
        if !comparesAddress(of: kind), !other.contains(.address) { result.remove(.address) }
        return result
    }

    /// Whether the address word of the kind is in both logs or in neither: a recorder that does not see registers has
    /// only those that stand in the instruction.
    private func comparesAddress(of kind: EventKind) -> Bool {
        switch kind {
        case .mmioRead, .mmioWrite: true
        case _ where kind.usualStream == .access: agreesOnOperands
        default: true
        }
    }

    /// Whether both logs carry what accesses of the kind read or wrote.
    func comparesValues(of kind: EventKind) -> Bool {
        switch kind {
        case .mmioRead, .mmioWrite: features.contains(.mmioValues)
        case _ where kind.usualStream == .access: features.contains(.accessValues)
        default: true
        }
    }

    /// Whether `info` of the kind can be compared: that of a discontinuity is a label.
    func comparesInfo(of kind: EventKind) -> Bool {
        kind != .discontinuity || features.contains(.labels)
    }

    /// How many bytes of a payload are compared: all, or only the address word.
    func payloadSize(_ size: Int, of kind: EventKind, _ validity: EventValidity) -> Int {
        comparesValues(of: kind) ? size : (validity.contains(.address) ? min(size, 8) : 0)
    }
}
