import CTTLog

/// What an event, access or meta record is about (`enum ttlog_event_kind`).
///
/// Numbers are given once and never change. A kind that this reader does not know is kept as its number; its name is
/// then `kind-` and the number.
public struct EventKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16

    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    private init(_ kind: ttlog_event_kind) {
        rawValue = UInt16(truncatingIfNeeded: kind.rawValue)
    }

    public static let interrupt = EventKind(TTLOG_EVENT_INTERRUPT)
    public static let exception = EventKind(TTLOG_EVENT_EXCEPTION)
    public static let discontinuity = EventKind(TTLOG_EVENT_DISCONTINUITY)
    public static let syscall = EventKind(TTLOG_EVENT_SYSCALL)
    public static let softwareInterrupt = EventKind(TTLOG_EVENT_SOFTWARE_INTERRUPT)

    public static let portRead = EventKind(TTLOG_EVENT_PORT_READ)
    public static let portWrite = EventKind(TTLOG_EVENT_PORT_WRITE)
    public static let mmioRead = EventKind(TTLOG_EVENT_MMIO_READ)
    public static let mmioWrite = EventKind(TTLOG_EVENT_MMIO_WRITE)
    public static let rdtsc = EventKind(TTLOG_EVENT_RDTSC)
    public static let cpuid = EventKind(TTLOG_EVENT_CPUID)
    public static let rdmsr = EventKind(TTLOG_EVENT_RDMSR)
    public static let wrmsr = EventKind(TTLOG_EVENT_WRMSR)
    public static let rdrand = EventKind(TTLOG_EVENT_RDRAND)

    public static let hypercall = EventKind(TTLOG_EVENT_HYPERCALL)
    public static let hypercallResult = EventKind(TTLOG_EVENT_HYPERCALL_RESULT)
    public static let upcall = EventKind(TTLOG_EVENT_UPCALL)
    public static let timeUpdate = EventKind(TTLOG_EVENT_TIME_UPDATE)

    public static let context = EventKind(TTLOG_EVENT_CONTEXT)
    public static let state = EventKind(TTLOG_EVENT_STATE)
    public static let rewound = EventKind(TTLOG_EVENT_REWOUND)
    public static let traceGap = EventKind(TTLOG_EVENT_TRACE_GAP)

    public static let attribute = EventKind(TTLOG_EVENT_ATTRIBUTE)
    public static let annotation = EventKind(TTLOG_EVENT_ANNOTATION)
    public static let lost = EventKind(TTLOG_EVENT_LOST)
    public static let comparableEnd = EventKind(TTLOG_EVENT_COMPARABLE_END)
    public static let runEnd = EventKind(TTLOG_EVENT_RUN_END)

    /// The kinds that this reader knows, by number.
    public static let all: [EventKind] = names.map(\.0)

    private static let names: [(EventKind, String)] = [
        (interrupt, "interrupt"), (exception, "exception"), (discontinuity, "discontinuity"), (syscall, "syscall"),
        (softwareInterrupt, "software-interrupt"),
        (portRead, "port-read"), (portWrite, "port-write"), (mmioRead, "mmio-read"), (mmioWrite, "mmio-write"),
        (rdtsc, "rdtsc"), (cpuid, "cpuid"), (rdmsr, "rdmsr"), (wrmsr, "wrmsr"), (rdrand, "rdrand"),
        (hypercall, "hypercall"), (hypercallResult, "hypercall-result"), (upcall, "upcall"),
        (timeUpdate, "time-update"),
        (context, "context"), (state, "state"), (rewound, "rewound"), (traceGap, "trace-gap"),
        (attribute, "attribute"), (annotation, "annotation"), (lost, "lost"), (comparableEnd, "comparable-end"),
        (runEnd, "run-end"),
    ]
    private static let nameOfKind = Dictionary(uniqueKeysWithValues: names)
    private static let kindOfName = Dictionary(uniqueKeysWithValues: names.map { ($0.1, $0.0) })
    private static let unknownPrefix = "kind-"

    /// The kind's name as the tools print and read it: `interrupt`, `port-read`, …, `kind-77` when unknown.
    public var name: String { EventKind.nameOfKind[self] ?? "\(EventKind.unknownPrefix)\(rawValue)" }

    /// Whether this reader knows the kind.
    public var isKnown: Bool { EventKind.nameOfKind[self] != nil }

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

    /// The stream that records of this kind stand in when they come from one of our recorders.
    public var usualStream: LogStream {
        switch rawValue {
        case EventKind.portRead.rawValue...EventKind.rdrand.rawValue: .access
        case EventKind.attribute.rawValue...EventKind.runEnd.rawValue: .meta
        default: .event
        }
    }
}
