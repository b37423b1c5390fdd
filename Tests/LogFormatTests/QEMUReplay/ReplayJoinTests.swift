// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// Joining a log with the replay.bin of its run.
struct ReplayJoinTests {
    let scratch: TemporaryDirectory

    init() throws { scratch = try temporaryDirectory() }

    /// Joins a log with the input log of its run.
    ///
    /// - Parameters:
    ///   - log: Lines of an assembled log; `0x… -> …` is a branch. `+N` is how many instructions began since the branch
    ///     before.
    ///   - instructions: The instructions of the whole run; `nil` for a log that does not state them.
    ///   - input: Entries of replay.bin, separated by commas: `5 interrupt` is an interrupt after 5 further instructions,
    ///     `15 shutdown` the guest's shutdown and the end of the file.
    ///   - isKilled: Whether QEMU was killed before it wrote its version to the file.
    private func join(
        _ log: String, instructions: Int? = nil, input: String, isKilled: Bool = false
    ) throws -> ReplayJoin {
        let (logPath, replayPath) = (scratch.file("ttd.log"), scratch.file("replay.bin"))
        var lines = log.split(separator: "\n").map { $0.hasPrefix("0x") ? "branch \($0)" : String($0) }
        if let instructions { lines.append("attribute recorder.instructions=\(instructions)") }
        try assemble(lines.joined(separator: "\n"), to: logPath)
        let entries = input.components(separatedBy: ", ").flatMap { entry in
            let (count, rest) = (entry.prefix { $0.isNumber }, entry.drop { $0.isNumber || $0 == " " })
            let what =
                rest == "shutdown"
                ? ["shutdown-guest-shutdown", "end"] : rest.isEmpty ? [] : [String(rest)]
            return count.isEmpty ? what : ["instruction \(count)"] + what
        }
        var recording = try ReplayBinEditor(text: entries.joined(separator: "\n"))
        recording.version = isKilled ? 0 : 0xe0200c
        try recording.write(to: replayPath)
        return try ReplayJoin.join(LogFile(path: logPath), with: QEMUReplayLog(path: replayPath))
    }

    private func kinds(_ join: ReplayJoin) -> [String] {
        join.causes.map { "\($0.clock) \($0.kind.rawValue)" }
    }

    private func hasNoLeftovers(_ join: ReplayJoin) -> Bool {
        join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0
    }

    @Test func anInterruptIsFoundAtItsPosition() throws {
        let join = try join(
            """
            0x1010 -> 0x1000 jcc! +10
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1009 iret +3
            """, instructions: 30, input: "15 interrupt, 15 shutdown")
        #expect(kinds(join) == ["1 interrupt"])
        #expect(join.causes.first?.icount == 15)
        #expect(join.causes.first?.from == 0x1008 && join.causes.first?.to == 0x9000)
        #expect(hasNoLeftovers(join))
        #expect(join.comparableEnd?.clock == 3 && join.comparableEnd?.icount == 30)
        #expect(join.runEnd == .guestShutdown)
    }

    /// A page fault undoes its instruction: QEMU does not count it, and all later counts differ by one.
    @Test func restoredFaultsShiftWhatFollows() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 none +5
            0xe004 -> 0x1008 iret +3
            0x1010 -> 0x9000 none +4
            0x9004 -> 0x1011 iret +3
            0x1020 -> 0x8000 none +4
            """, instructions: 40, input: "4 exception, 7 interrupt, 7 exception, 12 end")
        #expect(kinds(join) == ["0 fault", "2 interrupt", "4 exception"])
        #expect(join.restoredFaults == 1)
        #expect(hasNoLeftovers(join))
    }

    /// After `iret` to an instruction that faults again, one EXCEPTION has a position that fits both.
    @Test func anExceptionAfterAnIndirectBranchIsTheNextInstructionsWhenThatOneFaults() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 none +5
            0xe004 -> 0x1008 iret +3
            0x1008 -> 0xe000 none +1
            0xe004 -> 0x1008 iret +3
            """, instructions: 20, input: "4 exception, 3 exception, 11 shutdown")
        #expect(kinds(join) == ["0 fault", "2 fault"])
        #expect(join.restoredFaults == 2)
    }

    /// The target of `ret` cannot be fetched: the transition from `ret` is the exception's.
    @Test func anExceptionInFetchingTheTargetOfAReturn() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 ret +5
            0xe004 -> 0xe100 jcc! +1
            0xe104 -> 0x3000 iret +3
            0x3000 -> 0x3100 ret +9
            """, instructions: 20, input: "5 exception, 15 shutdown")
        #expect(kinds(join) == ["0 exception"])
        #expect(join.restoredFaults == 0)
    }

    @Test func softwareInterruptsAndConditionalJumpsThatWereInterrupted() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 int +5
            0xe004 -> 0x1010 iret +3
            0x1018 -> 0x9000 jcc +4
            """, instructions: 20, input: "5 exception, 7 interrupt, 8 shutdown")
        #expect(kinds(join) == ["0 software-interrupt", "2 interrupt"])
    }

    /// An interrupt's handler cannot be fetched: two entries at one position, one transition.
    @Test func entriesThatShareATransition() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 none +5
            0xe004 -> 0x9000 iret +3
            0x9000 -> 0x9100 jcc! +9
            0x9010 -> 0x9200 ret +9
            """, instructions: 30, input: "5 interrupt, exception, 25 shutdown")
        #expect(kinds(join) == ["0 interrupt"])
        #expect(join.eventsSharingTransition == 1)
        #expect(join.eventsWithoutTransition == 0)
    }

    @Test func leftoversAreCountedOnBothSides() throws {
        let join = try join(
            """
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1010 iret +3
            0x1018 -> 0x9000 hlt +4
            0x9004 -> 0x1010 iret +30
            """, instructions: 50, input: "5 interrupt, 15 interrupt, 30 shutdown")
        #expect(kinds(join) == ["0 interrupt"])
        #expect(join.transitionsWithoutEvent == 1)
        #expect(join.eventsWithoutTransition == 1)
        let leftovers: [String] = join.leftovers.map { leftover in
            switch leftover.what {
            case .transition(let branch): "transition \(branch.clock): \(leftover.reason)"
            case .entry(let entry): "entry \(entry.icount): \(leftover.reason)"
            }
        }
        #expect(leftovers.count == 2)
        #expect(leftovers.contains { $0.hasPrefix("transition 2: ") })
        #expect(leftovers.contains { $0.hasPrefix("entry 20: ") })
        #expect(join.leftovers.last?.reason == .followsLeftover)
    }

    // MARK: Resets and `into`

    @Test func aResetRequestExplainsATransitionToTheResetVector() throws {
        let join = try join(
            """
            0x1008 -> 0xfffffff0 none +5
            0xfffffff0 -> 0xfe05b far +1
            0x1018 -> 0x9000 hlt +4
            """, instructions: 20, input: "5 checkpoint-reset-requested, 5 interrupt, 10 shutdown")
        #expect(kinds(join) == ["0 reset", "2 interrupt"])
        #expect(hasNoLeftovers(join))
    }

    /// The three exceptions of a triple fault lead to one transition, from the instruction that was undone.
    @Test func theExceptionsOfATripleFaultShareTheTransitionOfItsReset() throws {
        let join = try join(
            """
            0x1008 -> 0xfffffff0 none +5
            0x1018 -> 0x9000 hlt +5
            """, instructions: 20,
            input:
                "4 exception, exception, exception, checkpoint-reset-requested, 5 interrupt, 10 shutdown")
        #expect(kinds(join) == ["0 reset", "1 interrupt"])
        #expect(join.eventsSharingTransition == 3)
        #expect(join.restoredFaults == 1)
        #expect(hasNoLeftovers(join))
    }

    /// QEMU counts the instructions after an `into` that traps, so all that follows comes later in its count.
    @Test func theRestOfTheBlockOfAnIntoIsCounted() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 int +5
            0xe004 -> 0x1009 iret +1
            0x1018 -> 0x9000 hlt +4
            """, instructions: 20, input: "9 exception, 5 interrupt, 10 shutdown")
        #expect(kinds(join) == ["0 software-interrupt", "2 interrupt"])
        #expect(join.uncounted == 4)
        #expect(hasNoLeftovers(join))
        #expect(join.comparableEnd?.icount == 20)
    }

    // MARK: The comparable end

    /// A replay ends at the shutdown, before it begins the handler of an exception at the same position.
    @Test func aTransitionAtTheShutdownIsNotCompared() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 int +5
            0xe004 -> 0x1009 iret +1
            """, instructions: 20, input: "5 exception, shutdown")
        #expect(kinds(join) == ["0 software-interrupt"])
        #expect(join.comparableEnd?.clock == 0 && join.comparableEnd?.icount == 5)
    }

    /// After the shutdown a vCPU runs on; the first branch there is not compared.
    @Test func theComparableEndIsTheShutdownPlusTheRestoredFaults() throws {
        let join = try join(
            """
            0x1008 -> 0xe000 none +5
            0xe004 -> 0x1008 iret +3
            0x1010 -> 0x1000 jcc! +4
            0x1010 -> 0x1000 jcc! +4
            0x1010 -> 0x1000 jcc! +4
            0x1010 -> 0x9000 none +4
            """,
            input:
                "4 exception, 11 shutdown-guest-shutdown, checkpoint-clock-virtual, 3 interrupt, shutdown-host-signal, end"
        )
        // The branches are at 5, 8, 12, 16, 20, 24; the end at 15 + 1.
        #expect(join.comparableEnd?.clock == 3)
        #expect(join.comparableEnd?.icount == 16)
        #expect(join.comparableEnd?.reason == "QEMU's shutdown-guest-shutdown")
        #expect(hasNoLeftovers(join))
    }

    @Test func aLogThatEndsBeforeTheShutdownHasNoComparableEnd() throws {
        let join = try join(
            "0x1010 -> 0x1000 jcc! +10", instructions: 60, input: "100 interrupt, 900 shutdown")
        #expect(join.comparableEnd == nil && join.runEnd == nil)
        #expect(join.eventsWithoutTransition == 0)
    }

    @Test func leftoversMakeTheEndConservative() throws {
        let join = try join(
            """
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1010 iret +3
            0x1018 -> 0xe000 none +4
            """, instructions: 41, input: "11 exception, 29 shutdown")
        #expect(join.transitionsWithoutEvent == 1 && join.restoredFaults == 1)
        #expect(join.comparableEnd?.icount == 40)
        #expect(join.comparableEnd?.reason.contains("leftovers") == true)
    }

    @Test func aKilledRecordingEndsWhereItsReplayCan() throws {
        let join = try join(
            """
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1010 iret +3
            0x1018 -> 0x1000 jcc! +9
            0x1018 -> 0x1000 jcc! +9
            """, input: "5 interrupt, 10", isKilled: true)
        #expect(join.runEnd == .killed)
        // An interrupt at the same instruction may not be in the file: its event is at instruction 14.
        #expect(join.comparableEnd?.clock == 2)
        #expect(join.comparableEnd?.icount == 14)
    }

    @Test(
        "the replay.bin of a killed QEMU lacks the interrupt at its last position: the end is before it"
    )
    func aKilledRecordingThatLacksItsLastInterrupt() throws {
        let log = """
            0x1008 -> 0x1000 jmp! +5
            event discontinuity ip=0x1004 icount=14 value=0x9000
            0x1004 -> 0x9000 none +10
            0x9004 -> 0x1010 iret +3
            """
        let join = try join(log, input: "15 clock-host 5", isKilled: true)
        let end = try #require(join.comparableEnd)
        #expect(end.clock == 1 && end.icount == 14)
    }

    @Test("joined causes are events, marked as joined")
    func events() throws {
        let join = try join(
            """
            0x1010 -> 0x1000 jcc! +10
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1009 iret +3
            """, input: "15 interrupt, 15 shutdown")
        let event = try #require(join.events.first)
        #expect(join.events.count == 1 && event.isJoined && event.kind == .interrupt)
        #expect(event.clock == 1 && event.icount == 14 && event.ip == 0x1008)
        #expect(event.details { _ in "" } == "vector unknown -> 0x9000")
    }

    /// QEMU looks for the next entry as soon as it has taken one; without any it ends before the handler begins.
    @Test func aKilledRecordingWhoseLastEntryIsAnInterruptEndsBeforeIt() throws {
        let log = """
            0x1000 -> 0x2000 jmp! +3
            0x2004 -> 0x9000 none +2
            0x9008 -> 0x2004 iret +3
            """
        let join = try join(log, input: "5 interrupt", isKilled: true)
        #expect(join.causes.map(\.clock) == [1])
        #expect(join.comparableEnd?.clock == 1)
        #expect(join.comparableEnd?.icount == 4)
    }

    @Test func aReplayOfAKilledRecordingRunsOutOfInput() throws {
        let log = """
            options kind=replay
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1010 iret +10
            """
        let join = try join(log, instructions: 15, input: "5 interrupt, 10", isKilled: true)
        #expect(join.runEnd == .inputExhausted)
        #expect(join.comparableEnd?.icount == 14)
    }

    // MARK: Logs without branch bodies

    /// The same run, once with branches and once with its discontinuity events alone. A return that faults and an `int
    /// n` are no discontinuities; the join matches again after them.
    @Test func discontinuityEventsServeWhereBranchesWereNotKept() throws {
        let log = """
            event discontinuity ip=0x1008 info=0 value=0x9000 +4
            0x1008 -> 0x9000 none +5
            0x9004 -> 0x1010 iret +3
            0x1018 -> 0xe000 ret +4
            0xe004 -> 0x1018 iret +3
            0x1020 -> 0xe000 int +6
            0xe004 -> 0x1021 iret +3
            event discontinuity ip=0x1030 info=0 value=0x9000 +4
            0x1030 -> 0x9000 none +5
            """
        let input = "5 interrupt, 6 exception, 9 exception, 8 interrupt, 11 shutdown"
        let whole = try join(log, instructions: 40, input: input)
        #expect(kinds(whole) == ["0 interrupt", "2 fault", "4 software-interrupt", "6 interrupt"])
        #expect(whole.usesBranches && whole.restoredFaults == 1 && whole.comparableEnd?.icount == 40)

        let eventsOnly = try join("options mode=events\n" + log, instructions: 40, input: input)
        #expect(kinds(eventsOnly) == ["0 interrupt", "6 interrupt"])
        #expect(!eventsOnly.usesBranches)
        #expect(eventsOnly.eventsNotVisible == 2)
        #expect(eventsOnly.restoredFaults == 1)
        #expect(eventsOnly.transitionsWithoutEvent == 0)
    }

    /// What `int` raised is matched when the log is at its end only: records after the run's end do not count.
    @Test func theEndOfALogWithoutBranchesIsAtTheLastRecordBeforeIt() throws {
        let join = try join(
            """
            options mode=events features=icount,labels,accesses
            0x1020 -> 0xe000 int +6
            0xe004 -> 0x1021 iret +3
            access port-write ip=0x1024 info=1 address=0x3f8 +2
            0x1030 -> 0x1040 jmp! +12
            0x1040 -> 0x1050 jmp! +3
            access port-write ip=0x1050 info=1 address=0xf4 +1
            """, instructions: 30, input: "6 exception, 14 shutdown")
        #expect(join.comparableEnd?.icount == 20)
        #expect(join.comparableEnd?.clock == 2)
    }

    @Test func aLogWithoutInstructionCountsIsRefused() throws {
        let error = #expect(throws: LogError.self) {
            try join("options features=branches,labels\n0x1010 -> 0x1000 jcc!", input: "end")
        }
        #expect(error?.description.contains("no instruction counts") == true)
    }
}
