// SPDX-License-Identifier: GPL-2.0-or-later

/// The kind of an event, access or meta record (`enum ttlog_event_kind`).
///
/// Numbers are assigned once and never change. A kind that this reader does not know keeps its number; its name is then
/// `kind-` and the number. ``definition`` describes the kind and the fields that its records carry.
public struct EventKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The kind's number in the log.
    public var rawValue: UInt16

    /// The kind of that number, known to this reader or not.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The kind of a known case.
    package init(_ kind: KnownEventKind) {
        rawValue = kind.rawValue
    }

    /// The case of this kind; nil for a kind that this reader does not know.
    package var known: KnownEventKind? { KnownEventKind(rawValue: rawValue) }

    /// A hardware interrupt was delivered.
    public static let interrupt = EventKind(.interrupt)
    /// An exception was raised.
    public static let exception = EventKind(.exception)
    /// A transition that no branch explains.
    public static let discontinuity = EventKind(.discontinuity)
    /// A system call.
    public static let syscall = EventKind(.syscall)
    /// `int n`, `int3`, `int1` or `into`.
    public static let softwareInterrupt = EventKind(.softwareInterrupt)

    /// A read from an I/O port.
    public static let portRead = EventKind(.portRead)
    /// A write to an I/O port.
    public static let portWrite = EventKind(.portWrite)
    /// A read from device memory.
    public static let mmioRead = EventKind(.mmioRead)
    /// A write to device memory.
    public static let mmioWrite = EventKind(.mmioWrite)
    /// A read of the time stamp counter.
    public static let rdtsc = EventKind(.rdtsc)
    /// A `cpuid` instruction.
    public static let cpuid = EventKind(.cpuid)
    /// A read of a model-specific register.
    public static let rdmsr = EventKind(.rdmsr)
    /// A write to a model-specific register.
    public static let wrmsr = EventKind(.wrmsr)
    /// `rdrand` or `rdseed`.
    public static let rdrand = EventKind(.rdrand)
    /// An instruction read RAM.
    public static let ramRead = EventKind(.ramRead)
    /// An instruction wrote to RAM.
    public static let ramWrite = EventKind(.ramWrite)

    /// A call into the hypervisor.
    public static let hypercall = EventKind(.hypercall)
    /// The result of a hypercall.
    public static let hypercallResult = EventKind(.hypercallResult)
    /// An event-channel upcall.
    public static let upcall = EventKind(.upcall)
    /// The hypervisor updated the guest's time.
    public static let timeUpdate = EventKind(.timeUpdate)
    /// The guest itself entered the hypervisor.
    public static let exit = EventKind(.exit)
    /// Somebody else wrote to the guest's memory.
    public static let foreignWrite = EventKind(.foreignWrite)
    /// Another domain read the guest's memory: what the guest sends.
    public static let foreignRead = EventKind(.foreignRead)

    /// The guest changed its address space or switched its stack.
    public static let context = EventKind(.context)
    /// A state digest.
    public static let state = EventKind(.state)
    /// The guest was put back to an earlier point.
    public static let rewound = EventKind(.rewound)
    /// Nothing was recorded from here to the next epoch.
    public static let traceGap = EventKind(.traceGap)
    /// Digests of the guest's memory by page.
    public static let pageDigests = EventKind(.pageDigests)

    /// A key and a value that describe the run.
    public static let attribute = EventKind(.attribute)
    /// A note.
    public static let annotation = EventKind(.annotation)
    /// Records that could not be written.
    public static let lost = EventKind(.lost)
    /// The first position that is not compared.
    public static let comparableEnd = EventKind(.comparableEnd)
    /// Why the run ended.
    public static let runEnd = EventKind(.runEnd)

    /// The engine read a clock for the guest or for its timers.
    public static let clockRead = EventKind(.clockRead)
    /// A point at which the engine's threads synchronise with the guest.
    public static let checkpoint = EventKind(.checkpoint)
    /// The engine delivered data or a completion to the machine.
    public static let engineInput = EventKind(.engineInput)
    /// The machine stopped or restarted.
    public static let machineStop = EventKind(.machineStop)

    /// The kinds that this reader knows, by number.
    public static let all: [EventKind] = KnownEventKind.allCases.map { EventKind($0) }

    private static let unknownPrefix = "kind-"
    private static let kindOfName = Dictionary(
        uniqueKeysWithValues: EventDefinition.all.map { ($0.name, $0.kind) })

    /// The kind's name as the tools print and read it: `interrupt`, `port-read`, …, `kind-77` when unknown.
    public var name: String { definition?.name ?? "\(EventKind.unknownPrefix)\(rawValue)" }

    /// Whether this reader knows the kind.
    public var isKnown: Bool { known != nil }

    /// The kind's ``name``.
    public var description: String { name }

    /// The kind of that name, `kind-N` included; nil when there is none.
    public init?(name: String) {
        if let kind = EventKind.kindOfName[name] {
            self = kind
        } else if name.hasPrefix(EventKind.unknownPrefix),
            let number = UInt16(name.dropFirst(EventKind.unknownPrefix.count))
        {
            rawValue = number
        } else {
            return nil
        }
    }

    /// The stream that holds records of this kind in the logs of our recorders; ``LogStream/event`` for unknown kinds.
    public var usualStream: LogStream { definition?.stream ?? .event }

    /// Whether events of the kind carry input into the guest, which a replay must repeat.
    public var isInput: Bool { definition?.isInput ?? false }
}
