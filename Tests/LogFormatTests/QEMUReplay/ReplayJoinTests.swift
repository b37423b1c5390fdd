// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

/// Joining a log with the replay.bin of its run.
struct ReplayJoinTests {
    let scratch: TemporaryDirectory

    init() throws { scratch = try temporaryDirectory() }

    private func join(log: String, replay: String, version: UInt32 = 0xe0200c) throws -> ReplayJoin {
        let logPath = scratch.file("ttd.log")
        let replayPath = scratch.file("replay.bin")
        try assemble(log, to: logPath)
        var recording = try ReplayBinEditor(text: replay)
        recording.version = version
        try recording.write(to: replayPath)
        return try ReplayJoin.join(LogFile(path: logPath), with: QEMUReplayLog(path: replayPath))
    }

    private func kinds(_ join: ReplayJoin) -> [String] {
        join.causes.map { "\($0.clock) \($0.kind.rawValue)" }
    }

    // The log counts instructions that began. `+N` is how many began since the branch before.

    @Test func anInterruptIsFoundAtItsPosition() throws {
        let join = try join(
            log: """
                branch 0x1010 -> 0x1000 jcc! +10
                branch 0x1008 -> 0x9000 none +5
                branch 0x9004 -> 0x1009 iret +3
                attribute recorder.instructions=30
                """,
            replay: """
                instruction 15
                interrupt
                instruction 15
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["1 interrupt"])
        #expect(join.causes.first?.icount == 15)
        #expect(join.causes.first?.from == 0x1008 && join.causes.first?.to == 0x9000)
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
        #expect(join.comparableEnd?.clock == 3 && join.comparableEnd?.icount == 30)
        #expect(join.runEnd == .guestShutdown)
    }

    /// A page fault undoes its instruction: QEMU does not count it, and all later counts differ by one.
    @Test func restoredFaultsShiftWhatFollows() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 none +5
                branch 0xe004 -> 0x1008 iret +3
                branch 0x1010 -> 0x9000 none +4
                branch 0x9004 -> 0x1011 iret +3
                branch 0x1020 -> 0x8000 none +4
                attribute recorder.instructions=40
                """,
            replay: """
                instruction 4
                exception
                instruction 7
                interrupt
                instruction 7
                exception
                instruction 12
                end
                """)
        #expect(kinds(join) == ["0 fault", "2 interrupt", "4 exception"])
        #expect(join.restoredFaults == 1)
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
    }

    /// After `iret` to an instruction that faults again, one EXCEPTION has a position that fits both.
    @Test func anExceptionAfterAnIndirectBranchIsTheNextInstructionsWhenThatOneFaults() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 none +5
                branch 0xe004 -> 0x1008 iret +3
                branch 0x1008 -> 0xe000 none +1
                branch 0xe004 -> 0x1008 iret +3
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 4
                exception
                instruction 3
                exception
                instruction 11
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 fault", "2 fault"])
        #expect(join.restoredFaults == 2)
    }

    /// The target of `ret` cannot be fetched: the transition from `ret` is the exception's.
    @Test func anExceptionInFetchingTheTargetOfAReturn() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 ret +5
                branch 0xe004 -> 0xe100 jcc! +1
                branch 0xe104 -> 0x3000 iret +3
                branch 0x3000 -> 0x3100 ret +9
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 5
                exception
                instruction 15
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 exception"])
        #expect(join.restoredFaults == 0)
    }

    @Test func softwareInterruptsAndConditionalJumpsThatWereInterrupted() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 int +5
                branch 0xe004 -> 0x1010 iret +3
                branch 0x1018 -> 0x9000 jcc +4
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 5
                exception
                instruction 7
                interrupt
                instruction 8
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 software-interrupt", "2 interrupt"])
    }

    /// An interrupt's handler cannot be fetched: two entries at one position, one transition.
    @Test func entriesThatShareATransition() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 none +5
                branch 0xe004 -> 0x9000 iret +3
                branch 0x9000 -> 0x9100 jcc! +9
                branch 0x9010 -> 0x9200 ret +9
                attribute recorder.instructions=30
                """,
            replay: """
                instruction 5
                interrupt
                exception
                instruction 25
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 interrupt"])
        #expect(join.eventsSharingTransition == 1)
        #expect(join.eventsWithoutTransition == 0)
    }

    @Test func leftoversAreCountedOnBothSides() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0x9000 none +5
                branch 0x9004 -> 0x1010 iret +3
                branch 0x1018 -> 0x9000 hlt +4
                branch 0x9004 -> 0x1010 iret +30
                attribute recorder.instructions=50
                """,
            replay: """
                instruction 5
                interrupt
                instruction 15
                interrupt
                instruction 30
                shutdown-guest-shutdown
                end
                """)
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
            log: """
                branch 0x1008 -> 0xfffffff0 none +5
                branch 0xfffffff0 -> 0xfe05b far +1
                branch 0x1018 -> 0x9000 hlt +4
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 5
                checkpoint-reset-requested
                instruction 5
                interrupt
                instruction 10
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 reset", "2 interrupt"])
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
    }

    /// The three exceptions of a triple fault lead to one transition, from the instruction that was undone.
    @Test func theExceptionsOfATripleFaultShareTheTransitionOfItsReset() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xfffffff0 none +5
                branch 0x1018 -> 0x9000 hlt +5
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 4
                exception
                exception
                exception
                checkpoint-reset-requested
                instruction 5
                interrupt
                instruction 10
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 reset", "1 interrupt"])
        #expect(join.eventsSharingTransition == 3)
        #expect(join.restoredFaults == 1)
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
    }

    /// QEMU counts the instructions after an `into` that traps, so all that follows comes later in its count.
    @Test func theRestOfTheBlockOfAnIntoIsCounted() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 int +5
                branch 0xe004 -> 0x1009 iret +1
                branch 0x1018 -> 0x9000 hlt +4
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 9
                exception
                instruction 5
                interrupt
                instruction 10
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 software-interrupt", "2 interrupt"])
        #expect(join.uncounted == 4)
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
        #expect(join.comparableEnd?.icount == 20)
    }

    // MARK: The comparable end

    /// A replay ends at the shutdown, before it begins the handler of an exception at the same position.
    @Test func aTransitionAtTheShutdownIsNotCompared() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 int +5
                branch 0xe004 -> 0x1009 iret +1
                attribute recorder.instructions=20
                """,
            replay: """
                instruction 5
                exception
                shutdown-guest-shutdown
                end
                """)
        #expect(kinds(join) == ["0 software-interrupt"])
        #expect(join.comparableEnd?.clock == 0 && join.comparableEnd?.icount == 5)
    }

    /// After the shutdown a vCPU runs on; the first branch there is not compared.
    @Test func theComparableEndIsTheShutdownPlusTheRestoredFaults() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0xe000 none +5
                branch 0xe004 -> 0x1008 iret +3
                branch 0x1010 -> 0x1000 jcc! +4
                branch 0x1010 -> 0x1000 jcc! +4
                branch 0x1010 -> 0x1000 jcc! +4
                branch 0x1010 -> 0x9000 none +4
                """,
            replay: """
                instruction 4
                exception
                instruction 11
                shutdown-guest-shutdown
                checkpoint-clock-virtual
                instruction 3
                interrupt
                shutdown-host-signal
                end
                """)
        // The branches are at 5, 8, 12, 16, 20, 24; the end at 15 + 1.
        #expect(join.comparableEnd?.clock == 3)
        #expect(join.comparableEnd?.icount == 16)
        #expect(join.comparableEnd?.reason == "QEMU's shutdown-guest-shutdown")
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
    }

    @Test func aLogThatEndsBeforeTheShutdownHasNoComparableEnd() throws {
        let replay = "instruction 100\ninterrupt\ninstruction 900\nshutdown-guest-shutdown\nend"
        let short = "branch 0x1010 -> 0x1000 jcc! +10\nattribute recorder.instructions=60"
        let join = try join(log: short, replay: replay)
        #expect(join.comparableEnd == nil && join.runEnd == nil)
        #expect(join.eventsWithoutTransition == 0)
    }

    @Test func leftoversMakeTheEndConservative() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0x9000 none +5
                branch 0x9004 -> 0x1010 iret +3
                branch 0x1018 -> 0xe000 none +4
                attribute recorder.instructions=41
                """,
            replay: """
                instruction 11
                exception
                instruction 29
                shutdown-guest-shutdown
                end
                """)
        #expect(join.transitionsWithoutEvent == 1 && join.restoredFaults == 1)
        #expect(join.comparableEnd?.icount == 40)
        #expect(join.comparableEnd?.reason.contains("leftovers") == true)
    }

    @Test func aKilledRecordingEndsWhereItsReplayCan() throws {
        let join = try join(
            log: """
                branch 0x1008 -> 0x9000 none +5
                branch 0x9004 -> 0x1010 iret +3
                branch 0x1018 -> 0x1000 jcc! +9
                branch 0x1018 -> 0x1000 jcc! +9
                """,
            replay: "instruction 5\ninterrupt\ninstruction 10", version: 0)
        #expect(join.runEnd == .killed)
        // An interrupt at the same instruction may not be in the file: its event is at instruction 14.
        #expect(join.comparableEnd?.clock == 2)
        #expect(join.comparableEnd?.icount == 14)
    }

    @Test("the replay.bin of a killed QEMU lacks the interrupt at its last position: the end is before it")
    func aKilledRecordingThatLacksItsLastInterrupt() throws {
        let log = """
            branch 0x1008 -> 0x1000 jmp! +5
            event discontinuity ip=0x1004 icount=14 value=0x9000
            branch 0x1004 -> 0x9000 none +10
            branch 0x9004 -> 0x1010 iret +3
            """
        let join = try join(log: log, replay: "instruction 15\nclock-host 5", version: 0)
        let end = try #require(join.comparableEnd)
        #expect(end.clock == 1 && end.icount == 14)
    }

    @Test("joined causes are events, marked as joined")
    func events() throws {
        let join = try join(
            log: """
                branch 0x1010 -> 0x1000 jcc! +10
                branch 0x1008 -> 0x9000 none +5
                branch 0x9004 -> 0x1009 iret +3
                """,
            replay: "instruction 15\ninterrupt\ninstruction 15\nshutdown-guest-shutdown\nend")
        let event = try #require(join.events.first)
        #expect(join.events.count == 1 && event.isJoined && event.kind == .interrupt)
        #expect(event.clock == 1 && event.icount == 14 && event.ip == 0x1008)
        #expect(event.details { _ in "" } == "vector unknown -> 0x9000")
    }

    /// QEMU looks for the next entry as soon as it has taken one; without any it ends before the handler begins.
    @Test func aKilledRecordingWhoseLastEntryIsAnInterruptEndsBeforeIt() throws {
        let log = """
            branch 0x1000 -> 0x2000 jmp! +3
            branch 0x2004 -> 0x9000 none +2
            branch 0x9008 -> 0x2004 iret +3
            """
        let join = try join(log: log, replay: "instruction 5\ninterrupt", version: 0)
        #expect(join.causes.map(\.clock) == [1])
        #expect(join.comparableEnd?.clock == 1)
        #expect(join.comparableEnd?.icount == 4)
    }

    @Test func aReplayOfAKilledRecordingRunsOutOfInput() throws {
        let log = """
            options kind=replay
            branch 0x1008 -> 0x9000 none +5
            branch 0x9004 -> 0x1010 iret +10
            attribute recorder.instructions=15
            """
        let join = try join(log: log, replay: "instruction 5\ninterrupt\ninstruction 10", version: 0)
        #expect(join.runEnd == .inputExhausted)
        #expect(join.comparableEnd?.icount == 14)
    }

    // MARK: Logs without branch bodies

    /// The same run, once with branches and once with its discontinuity events alone. A return that faults and an `int
    /// n` are no discontinuities; the join matches again after them.
    @Test func discontinuityEventsServeWhereBranchesWereNotKept() throws {
        let log = """
            event discontinuity ip=0x1008 info=0 value=0x9000 +4
            branch 0x1008 -> 0x9000 none +5
            branch 0x9004 -> 0x1010 iret +3
            branch 0x1018 -> 0xe000 ret +4
            branch 0xe004 -> 0x1018 iret +3
            branch 0x1020 -> 0xe000 int +6
            branch 0xe004 -> 0x1021 iret +3
            event discontinuity ip=0x1030 info=0 value=0x9000 +4
            branch 0x1030 -> 0x9000 none +5
            attribute recorder.instructions=40
            """
        let replay = """
            instruction 5
            interrupt
            instruction 6
            exception
            instruction 9
            exception
            instruction 8
            interrupt
            instruction 11
            shutdown-guest-shutdown
            end
            """
        let whole = try join(log: log, replay: replay)
        #expect(kinds(whole) == ["0 interrupt", "2 fault", "4 software-interrupt", "6 interrupt"])
        #expect(whole.usesBranches && whole.restoredFaults == 1 && whole.comparableEnd?.icount == 40)

        let eventsOnly = try join(log: "options mode=events\n" + log, replay: replay)
        #expect(kinds(eventsOnly) == ["0 interrupt", "6 interrupt"])
        #expect(!eventsOnly.usesBranches)
        #expect(eventsOnly.eventsNotVisible == 2)
        #expect(eventsOnly.restoredFaults == 1)
        #expect(eventsOnly.transitionsWithoutEvent == 0)
    }

    @Test func aLogWithoutInstructionCountsIsRefused() throws {
        let error = #expect(throws: LogError.self) {
            try join(log: "options features=branches,labels\nbranch 0x1010 -> 0x1000 jcc!", replay: "end")
        }
        #expect(error?.description.contains("no instruction counts") == true)
    }
}
