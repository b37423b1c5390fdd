// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import RunDirectory
import Testing

@testable import ReplaySession

/// Everything that was entered in a run of tiny-truth, in order; from the guest's own notes or from the log of branches.
struct CallHistory {
    enum Kind { case call, interruption, systemCall }

    /// Something that was entered, and how many were open around it.
    struct Entry: Hashable {
        var kind: Kind
        var depth: Int
        /// The function, or the vector of an interrupt.
        var what: UInt64
        /// Of interruptions and system calls: the ip that the processor pushed.
        var ip: UInt64 = 0
    }

    /// An interrupt from outside. It comes between two instructions, and an entry is noted some instructions after the
    /// call, so it is separate from the main line, with its place in it.
    struct Interrupt {
        var vector: UInt64
        var ip: UInt64
        /// Entries of the main line before it.
        var place: Int
        /// The entries in it; depths count from it.
        var entries: [Entry] = []
        /// The function that was interrupted, according to the log; nil if the interrupt came after a branch whose
        /// target had not begun, or in the guest's own notes.
        var function: UInt64?
    }

    var main: [Entry] = []
    var interrupts: [Interrupt] = []
    /// Inside which of `interrupts` the run is, and at which depth that began.
    private var inside: (index: Int, depth: Int)?

    static let outside: Set<UInt64> = [32, 36]

    mutating func enter(_ entry: Entry) {
        if let inside {
            var entry = entry
            entry.depth -= inside.depth
            interrupts[inside.index].entries.append(entry)
        } else {
            main.append(entry)
        }
    }

    mutating func begin(_ interrupt: Interrupt, depth: Int) {
        #expect(inside == nil, "an interrupt inside another: interrupts are off")
        inside = (interrupts.count, depth)
        interrupts.append(interrupt)
    }

    /// Everything at this depth and above was left; `ip` is where the guest continued.
    mutating func leave(to depth: Int, ip: UInt64? = nil) {
        guard let inside, depth <= inside.depth else { return }
        if let ip { interrupts[inside.index].ip = ip }
        self.inside = nil
    }
}

// MARK: - From the guest
extension CallHistory {
    /// Reads the notes that truth.c sent after the guest's last line.
    init(serial path: String, symbols: GuestSymbols) throws {
        let bytes = try Files.contents(path)
        let last = Array("tiny: end\n".utf8)
        let end = try #require(bytes.indices.last { $0 + last.count <= bytes.count && bytes[$0...].starts(with: last) })
        let words = bytes[(end + last.count)...]
        try #require(words.count % 4 == 0 && words.count > 4)
        /// The open entries: functions, vectors, system calls.
        var open: [(kind: Kind, what: UInt64)] = []
        for first in stride(from: words.startIndex, to: words.endIndex, by: 4) {
            let word = (0..<4).reduce(UInt64(0)) { $0 | UInt64(words[first + $1]) << UInt64(8 * $1) }
            let (address, vector) = (0x200000 + word & 0x1f_ffff, word >> 21 & 255)
            switch word >> 29 {
            case 0:
                enter(Entry(kind: .call, depth: open.count, what: address))
                open.append((.call, address))
            case 1:
                // Only leave_user goes over what is open.
                if address != symbols["enter_user"] { #expect(open.last?.what == address && open.last?.kind == .call) }
                let index = try #require(open.lastIndex { $0.kind == .call && $0.what == address })
                open.removeSubrange(index...)
            case 2:
                if CallHistory.outside.contains(vector) {
                    begin(Interrupt(vector: vector, ip: address, place: main.count), depth: open.count + 1)
                } else {
                    enter(Entry(kind: .interruption, depth: open.count, what: vector, ip: address))
                }
                open.append((.interruption, vector))
            case 3:
                #expect(open.last?.what == vector && open.last?.kind == .interruption)
                open.removeLast()
                leave(to: open.count)
            case 4:
                enter(Entry(kind: .systemCall, depth: open.count, what: 0, ip: address))
                open.append((.systemCall, 0))
            case 5:
                #expect(open.last?.kind == .systemCall)
                open.removeLast()
            default: Issue.record("a word that truth.c does not write: \(word)")
            }
        }
    }
}

// MARK: - From the log
extension CallHistory {
    /// Follows the calls of a log from kernel_main to the end of the guest's notes.
    ///
    /// - Parameter marks: the guesses that the tracker needed in between.
    init(log: LogFile, symbols: GuestSymbols, marks: inout [Resynchronisation]) throws {
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: 0))
        tracker.recordsSteps = true
        let hooks = [symbols["__cyg_profile_func_enter"], symbols["__cyg_profile_func_exit"]]
        /// Frames open around kernel_main.
        var base: Int?
        var isOver = false
        var cursor = log.branches()
        while !isOver,
            cursor.nextBatch({ batch, range in
                for index in range where !isOver {
                    let before = tracker.top
                    tracker.append(batch, index..<(index + 1))
                    for step in tracker.steps where !isOver {
                        if step.action == .enter, step.frame.target == symbols["kernel_main"] {
                            base = Int(step.depth) - 1
                        }
                        guard let base else { continue }
                        if let mark = step.mark { marks.append(mark) }
                        let depth = Int(step.depth) - base
                        switch step.action {
                        case .enter:
                            isOver = step.frame.target == symbols["__wrap_power_off"]
                            if !isOver, !hooks.contains(step.frame.target) {
                                enter(step.frame, depth: depth - 1, before, symbols)
                            }
                        case .leave: leave(to: depth + 1, ip: batch.to[index])
                        default: Issue.record("the guest has one stack: \(step)")
                        }
                    }
                }
            })
        {}
        #expect(isOver, "the log ends before the guest's notes do")
    }

    private mutating func enter(_ frame: CallFrame, depth: Int, _ caller: CallFrame?, _ symbols: GuestSymbols) {
        switch frame.kind {
        case .call, .start: enter(Entry(kind: .call, depth: depth, what: frame.target))
        case .systemCall: enter(Entry(kind: .systemCall, depth: depth, what: 0, ip: frame.callSite + 2))
        case .softwareInterrupt, .interruption:
            guard let vector = symbols.vector(at: frame.target) else {
                Issue.record("an interruption that goes to no vector: \(frame)")
                return
            }
            guard CallHistory.outside.contains(vector) else {
                // A fault goes back to the instruction, int to the one after it.
                let ip = frame.callSite + (frame.kind == .softwareInterrupt ? 2 : 0)
                enter(Entry(kind: .interruption, depth: depth, what: vector, ip: ip))
                return
            }
            let isPlain = [.none, .hlt, .rep].contains(frame.label.branchClass)
            begin(
                Interrupt(vector: vector, ip: 0, place: main.count, function: isPlain ? caller?.target : nil),
                depth: depth + 1)
        }
    }
}

/// The functions of a guest, from nm.
struct GuestSymbols {
    private var addresses: [String: UInt64] = [:]
    private var functions: [(start: UInt64, name: String)] = []

    init(_ path: String) throws {
        let result = try run("/usr/bin/nm", ["-n", path])
        try #require(result.status == 0, "\(result)")
        for line in result.out.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, let address = UInt64(words[0], radix: 16) else { continue }
            addresses[String(words[2])] = address
            if words[1].lowercased() == "t" { functions.append((address, String(words[2]))) }
        }
    }

    subscript(name: String) -> UInt64 { addresses[name] ?? 0 }

    /// The vector whose stub begins there.
    func vector(at address: UInt64) -> UInt64? {
        [6, 13, 14, 32, 36, 128].first { self["vector_\($0)"] == address }
    }

    /// The beginning of the function that an address is in.
    func function(of address: UInt64) -> UInt64? { functions.last { $0.start <= address }?.start }
}
