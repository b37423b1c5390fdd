// SPDX-License-Identifier: GPL-2.0-or-later

/// One difference between a replay and its recording.
public struct ManifestDifference: Codable, Hashable, Sendable, CustomStringConvertible {
    /// "memory", "kernel", "disk 0".
    public var what: String
    /// The recording's value.
    public var recorded: String
    /// The replay's value.
    public var now: String

    /// A difference.
    public init(what: String, recorded: String, now: String) {
        self.what = what
        self.recorded = recorded
        self.now = now
    }

    /// One line for people.
    public var description: String { "\(what): recorded with \(recorded), now \(now)" }
}

extension [ManifestDifference] {
    /// Adds a difference where the two values are not the same.
    package mutating func compare(_ what: String, _ recorded: String, _ now: String) {
        if recorded != now { append(ManifestDifference(what: what, recorded: recorded, now: now)) }
    }

    /// Adds a difference for each file with other contents. The path of a file does not count.
    package mutating func compare(_ recorded: [GuestFile], _ now: [GuestFile]) {
        func file(_ role: String, _ list: [GuestFile]) -> FileIdentity? { list.first { $0.role == role }?.identity }
        let roles = recorded.map(\.role) + now.map(\.role).filter { role in !recorded.contains { $0.role == role } }
        for role in roles {
            let (old, new) = (file(role, recorded), file(role, now))
            guard old?.sha256 != new?.sha256 else { continue }
            append(ManifestDifference(what: role, recorded: old?.summary ?? "none", now: new?.summary ?? "none"))
        }
    }
}
