// SPDX-License-Identifier: GPL-2.0-or-later

/// A recording whose instruction count does not change, and the known reason.
///
/// The recording continues: a guest may wait for input for any time.
public struct Standstill: Sendable, Equatable {
    /// The instruction count that does not change.
    public var icount: UInt64
    /// Seconds since that count was first seen.
    public var seconds: Double
    /// The state of the guest's processor.
    public var processor: Processor

    /// The state of the guest's processor.
    public enum Processor: Sendable, Equatable {
        /// It has executed `hlt`. With interrupts off, only an NMI or a reset wakes it.
        case halted(ip: UInt64, interruptsOn: Bool)
        /// It is not halted, but the engine executes nothing.
        case ready(ip: UInt64)
        /// The engine's monitor did not answer.
        case unknown

        /// Reads the answer of QEMU's `info registers`.
        init(registers: String?) {
            func field(_ name: String) -> UInt64? {
                guard let registers, let range = registers.firstRange(of: "\(name)=") else { return nil }
                return UInt64(registers[range.upperBound...].prefix { $0.isHexDigit }, radix: 16)
            }
            guard let halted = field("HLT"), let ip = field("RIP") ?? field("EIP"),
                let flags = field("RFL") ?? field("EFL")
            else {
                self = .unknown
                return
            }
            self = halted == 1 ? .halted(ip: ip, interruptsOn: flags & 0x200 != 0) : .ready(ip: ip)
        }
    }

    /// A standstill.
    public init(icount: UInt64, seconds: Double, processor: Processor) {
        self.icount = icount
        self.seconds = seconds
        self.processor = processor
    }

    /// The state of the processor: the end of a sentence.
    private var reason: String {
        switch processor {
        case .halted(let ip, interruptsOn: false):
            "the guest has halted at 0x\(String(ip, radix: 16)) with interrupts off and cannot continue"
        case .halted(let ip, interruptsOn: true):
            "the guest has halted at 0x\(String(ip, radix: 16)) and waits for an interrupt"
        case .ready(let ip):
            "the guest is ready to continue at 0x\(String(ip, radix: 16)), but QEMU executes nothing"
        case .unknown:
            "QEMU's monitor does not answer"
        }
    }

    /// One sentence for people, while it lasts.
    public var text: String {
        "the guest has made no progress after instruction \(icount) for \(Int(seconds)) s: \(reason); the recording continues"
    }

    /// Follows the sentence about how the run ended.
    var epilogue: String {
        "; it had made no progress after instruction \(icount) for \(Int(seconds)) s: \(reason)"
    }
}

/// Detects standstills of a recording, and reports each of them once.
///
/// QEMU's place in its input log does not count: QEMU writes there while the clock of an idle guest runs on.
struct StandstillWatch {
    let patience: Double
    let report: (Standstill) -> Void
    private var detector: HangDetector
    /// The standstill that was reported last; its time is that of its beginning.
    private var reported: Standstill?
    private var since: Double = 0

    /// - Parameter patience: seconds.
    init(patience: Double, report: @escaping (Standstill) -> Void) {
        self.patience = patience
        self.report = report
        detector = HangDetector(patience: patience)
    }

    mutating func forget() { detector.forget() }

    /// - Parameter now: monotonic seconds.
    /// - Returns: whether there is a standstill that was not reported yet.
    mutating func observe(icount: UInt64, logSize: UInt64 = 0, now: Double) -> Bool {
        if reported?.icount != icount { reported = nil }
        return detector.observe(.init(icount: icount, inputOffset: 0, logSize: logSize), now: now) && reported == nil
    }

    /// Observes that the monitor has not answered for `silence` seconds.
    mutating func observe(silence: Double, icount: UInt64, now: Double) {
        if silence > patience, reported == nil { note(icount: icount, processor: .unknown, now: now) }
    }

    mutating func note(icount: UInt64, processor: Standstill.Processor, now: Double) {
        let seen = Standstill(icount: icount, seconds: patience, processor: processor)
        since = now - patience
        reported = seen
        report(seen)
    }

    /// The standstill that still lasts, with its complete length.
    func lasting(now: Double) -> Standstill? {
        guard var seen = reported else { return nil }
        seen.seconds = now - since
        return seen
    }
}
