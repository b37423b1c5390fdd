// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Which events of a log a search is for, as a user names them.
///
/// | text | events |
/// | --- | --- |
/// | `io[@PORT]` | reads from and writes to I/O ports |
/// | `mmio[@ADDRESS]` | reads from and writes to device memory, by physical address |
/// | `switch[@TABLES]` | changes of the address space, or those to one whose page tables are at that address |
/// | `KIND[@NUMBER]` | events of that kind: interrupts and exceptions with that vector, accesses to that address |
///
/// An access counts for each address that it touches: a write of 4 bytes to port 0xcfc is one to port 0xcfe too.
public struct EventPattern: Hashable, Sendable {
    /// What is looked for.
    public enum Subject: Hashable, Sendable {
        /// Reads from and writes to I/O ports.
        case io
        /// Reads from and writes to device memory.
        case mmio
        /// Changes of the address space.
        case addressSpace
        /// Events of one kind.
        case kind(EventKind)
    }

    /// What is looked for.
    public var subject: Subject
    /// A port, an address or a vector; nil: any.
    public var number: UInt64?

    /// Makes a pattern.
    public init(_ subject: Subject, number: UInt64? = nil) {
        (self.subject, self.number) = (subject, number)
    }

    /// Reads a pattern; nil if the text is none. Records of the meta stream are at no place of the run.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        switch parts[0] {
        case "io": subject = .io
        case "mmio": subject = .mmio
        case "switch": subject = .addressSpace
        case let name:
            guard let kind = EventKind(name: String(name)), kind.usualStream != .meta else { return nil }
            subject = .kind(kind)
        }
        if parts.count > 1 {
            guard let number = Place.number(parts[1]),
                subject == .addressSpace || kinds.allSatisfy(EventPattern.hasNumber)
            else { return nil }
            self.number = number
        }
    }

    /// Whether records of a kind have a port, an address or a vector.
    static func hasNumber(_ kind: EventKind) -> Bool {
        switch kind.known {
        case .interrupt, .exception, .softwareInterrupt, .syscall, .upcall, .hypercall, .portRead, .portWrite,
            .mmioRead, .mmioWrite, .ramRead, .ramWrite, .cpuid, .rdmsr, .wrmsr, .foreignRead, .foreignWrite:
            true
        default: false
        }
    }

    /// The stream of the log that has these events.
    var stream: LogStream {
        switch subject {
        case .io, .mmio: .access
        case .addressSpace: .event
        case .kind(let kind): kind.usualStream
        }
    }

    /// The kinds of these events.
    var kinds: [EventKind] {
        switch subject {
        case .io: [.portRead, .portWrite]
        case .mmio: [.mmioRead, .mmioWrite]
        case .addressSpace: [.context]
        case .kind(let kind): [kind]
        }
    }

    /// The feature of a log that has all of these events; nil if no feature says so.
    var feature: FileHeader.Features? {
        switch subject {
        case .io: .accesses
        case .mmio: .mmio
        case .addressSpace: .context
        case .kind(let kind): kind.definition.flatMap { $0.features.isEmpty ? nil : $0.features }
        }
    }
}

extension EventPattern: CustomStringConvertible {
    /// The text that names the pattern.
    public var description: String {
        let name =
            switch subject {
            case .io: "io"
            case .mmio: "mmio"
            case .addressSpace: "switch"
            case .kind(let kind): kind.name
            }
        return name + (number.map { "@0x\(String($0, radix: 16))" } ?? "")
    }
}
