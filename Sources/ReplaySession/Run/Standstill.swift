// SPDX-License-Identifier: GPL-2.0-or-later

/// A recording whose instruction count stands still, and what is known of the reason.
///
/// It goes on: a guest may wait for input for as long as it likes. But nobody should have to guess.
public struct Standstill: Sendable, Equatable {
    public var icount: UInt64
    /// Since it was first seen to stand there.
    public var seconds: Double
    public var processor: Processor

    /// How the guest's processor stands.
    public enum Processor: Sendable, Equatable {
        /// It has executed hlt; with interrupts off, nothing but an NMI or a reset wakes it.
        case halted(ip: UInt64, interruptsOn: Bool)
        /// It is not halted, and yet QEMU executes nothing.
        case ready(ip: UInt64)
        /// QEMU's monitor did not tell.
        case unknown
    }

    /// From the answer of the monitor's `info registers`.
    init(icount: UInt64, seconds: Double, registers: String?) {
        self.icount = icount
        self.seconds = seconds
        func field(_ name: String) -> UInt64? {
            guard let registers, let range = registers.firstRange(of: "\(name)=") else { return nil }
            return UInt64(registers[range.upperBound...].prefix { $0.isHexDigit }, radix: 16)
        }
        guard let halted = field("HLT"), let ip = field("RIP") ?? field("EIP"), let flags = field("RFL") ?? field("EFL")
        else {
            processor = .unknown
            return
        }
        processor = halted == 1 ? .halted(ip: ip, interruptsOn: flags & 0x200 != 0) : .ready(ip: ip)
    }

    /// What the processor is doing: the end of a sentence.
    private var reason: String {
        switch processor {
        case .halted(let ip, interruptsOn: false):
            "the guest has halted at 0x\(String(ip, radix: 16)) with interrupts off, which is its end"
        case .halted(let ip, interruptsOn: true):
            "the guest has halted at 0x\(String(ip, radix: 16)) and waits for an interrupt"
        case .ready(let ip):
            "the guest is ready to go on at 0x\(String(ip, radix: 16)): it is QEMU that does not"
        case .unknown:
            "QEMU's monitor does not tell why"
        }
    }

    /// A sentence for people, while it stands.
    public var text: String {
        "the guest has stood still at instruction \(icount) for \(Int(seconds)) s: \(reason); the recording goes on "
            + "(Ctrl-C ends it)"
    }

    /// Behind how the run ended.
    var epilogue: String {
        "; it had stood still at instruction \(icount) for \(Int(seconds)) s: \(reason)"
    }
}

/// Notices when a recording stands still, once each time.
///
/// QEMU's place in its input log does not count: it writes there while an idle guest's clock runs on.
struct StandstillWatch {
    let patience: Double
    let tell: (Standstill) -> Void
    private var detector: HangDetector
    /// What was told last, and since when it stands.
    private var told: Standstill?
    private var since: Double = 0

    init(patience: Double, tell: @escaping (Standstill) -> Void) {
        self.patience = patience
        self.tell = tell
        detector = HangDetector(patience: patience)
    }

    mutating func forget() { detector.forget() }

    /// - Parameter now: monotonic seconds.
    /// - Returns: whether it stands still and that has not been told.
    mutating func observe(icount: UInt64, now: Double) -> Bool {
        if told?.icount != icount { told = nil }
        return detector.observe(.init(icount: icount, inputOffset: 0), now: now) && told == nil
    }

    /// The monitor does not answer, and has not for so many seconds.
    mutating func observe(silence: Double, icount: UInt64, now: Double) {
        if silence > patience, told == nil { note(icount: icount, registers: nil, now: now) }
    }

    mutating func note(icount: UInt64, registers: String?, now: Double) {
        let seen = Standstill(icount: icount, seconds: patience, registers: registers)
        since = now - patience
        told = seen
        tell(seen)
    }

    /// What stands until now.
    func lasting(now: Double) -> Standstill? {
        guard var seen = told else { return nil }
        seen.seconds = now - since
        return seen
    }
}
