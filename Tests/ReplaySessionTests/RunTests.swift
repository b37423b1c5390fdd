// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

@Suite struct HangDetectorTests {
    /// The answers of a detector with three seconds of patience to each look: (instructions, place in the input log, time).
    private func verdicts(_ looks: [(UInt64, UInt64, Double)]) -> [Bool] {
        var detector = HangDetector(patience: 3)
        var answers: [Bool] = []
        for (icount, offset, now) in looks {
            answers.append(detector.observe(.init(icount: icount, inputOffset: offset), now: now))
        }
        return answers
    }

    @Test func standingStillForTheWholePatienceIsAHang() {
        #expect(
            verdicts([(100, 4096, 10), (100, 4096, 11), (100, 4096, 12.9), (100, 4096, 13)])
                == [false, false, false, true])
    }

    @Test func anInstructionStartsAnew() {
        #expect(
            verdicts([(100, 0, 0), (100, 0, 2.9), (101, 0, 3), (101, 0, 5.9), (101, 0, 6)])
                == [false, false, false, false, true])
    }

    /// An idle guest makes no instruction, but its timer ticks are read.
    @Test func inputStartsAnew() {
        #expect(
            verdicts([(100, 0, 0), (100, 0, 2.9), (100, 4096, 3), (100, 4096, 5.9), (100, 4096, 6)])
                == [false, false, false, false, true])
    }

    /// One look after a long pause of the host proves nothing.
    @Test func twoLooksAreNotEnough() {
        #expect(verdicts([(1, 1, 0), (1, 1, 100), (1, 1, 100.1)]) == [false, false, true])
    }
}

@Suite struct SilenceWatchTests {
    /// The silences of a sequence of looks: (log size, processor time, now).
    private func silences(_ looks: [(UInt64, Double?, Double)]) -> [Double] {
        var watch = SilenceWatch()
        return looks.map { size, used, now in watch.observe(.init(logSize: size, processorTime: used), now: now) }
    }

    @Test func neitherTheLogNorTheProcessorMoves() {
        #expect(silences([(9, 5, 10), (9, 5, 12), (9, 5.1, 14)]) == [0, 2, 4])
        #expect(silences([(9, nil, 10), (9, nil, 12), (9, 5, 14)]) == [0, 2, 4])
    }

    @Test func aLogThatGrowsOrAProcessorThatWorksStartsAnew() {
        #expect(silences([(9, 5, 10), (10, 5, 12), (10, 5, 14)]) == [0, 0, 2])
        #expect(silences([(9, 5, 10), (9, 5.3, 12), (9, 5.3, 14), (9, 7, 16)]) == [0, 0, 2, 0])
    }

    /// A QEMU that is in a loop of its own is silent in the end.
    @Test func noComputationLastsForever() {
        let looks = (0..<700).map { (9 as UInt64, Double($0) * 2 as Double?, Double($0) * 2) }
        #expect(silences(looks).firstIndex { $0 > 30 } == 615)
    }
}

@Suite struct RunMonitorTests {
    /// Watches a program that plays QEMU at descriptor 3. It has answered everything before the first query-replay, which
    /// it has received.
    private func watch(
        _ script: String, hangPatience: Double? = nil, _ set: (RunMonitor, QEMUGuest) -> Void = { _, _ in }
    ) throws -> RunMonitor.Result {
        let (monitor, far) = try QMPClient.pair()
        let start = """
            say() { echo "$1" >&3; }
            answer() {
                local id=${request##*'"id":'}
                say '{"return": {"icount": 5, "running": true}, "id": '${id%%[^0-9]*}'}'
            }
            shutdown() { say '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}'; }
            say '{"QMP": {}}'
            while read -r request <&3 && [[ $request != *query-replay* ]]; do answer; done

            """
        let child = try ChildProcess(
            path: "/bin/bash", arguments: ["bash", "-c", start + script], inheriting: [(far, 3)], output: nil)
        close(far)
        let guest = QEMUGuest(child: child, monitor: monitor, inputLog: "")
        let run = RunMonitor(guest)
        run.timeLimit = 20
        run.hangPatience = hangPatience
        set(run, guest)
        return run.run()
    }

    /// The same, and a monitor that does not answer for a second is called silent. The second value: the number of standstills.
    private func watchSilence(_ script: String) throws -> (RunMonitor.Result, standstills: Int) {
        var reported = 0
        let result = try watch(script, hangPatience: 20) { run, guest in
            guest.answerTime = 0.3
            run.longestSilence = 1
            run.standstill = StandstillWatch(patience: 1) { _ in reported += 1 }
        }
        return (result, reported)
    }

    /// Its monitor starves while the guest computes: no hang and no standstill. Afterwards it answers.
    @Test func aQEMUThatComputesIsNotSilent() throws {
        let (result, standstills) = try watchSilence(
            "while ((SECONDS < 5)); do :; done; answer; shutdown; exit 3")
        #expect(result.stop == nil && result.process == .exited(status: 3) && standstills == 0)
    }

    @Test func aQEMUThatSleepsIsSilent() throws {
        let (result, standstills) = try watchSilence(
            "while read -r request <&3; do [[ $request == *quit* ]] && exit 4; done")
        guard case .silent(let seconds) = result.stop else {
            Issue.record("\(result)")
            return
        }
        #expect(seconds > 1 && result.process == .exited(status: 4) && standstills == 1)
    }

    /// A replay whose guest halts: the same for QEMU's clock as a hang, except where the recording was ended.
    @Test(
        arguments: [
            (5, 1, RunMonitor.Stop.reachedEnd(icount: 5)), (5, 0, .hung(icount: 5)), (6, 1, .hung(icount: 5)),
        ] as [(UInt64, Int, RunMonitor.Stop)])
    func aGuestThatHasHaltedAtTheEndOfItsRecording(end: UInt64, halted: Int, stop: RunMonitor.Stop) throws {
        let result = try watch(
            """
            answer
            while read -r request <&3; do
                case $request in
                *registers*)
                    id=${request##*'"id":'}
                    say '{"return": "EIP=00100041 EFL=00000002 HLT=\(halted)", "id": '${id%%[^0-9]*}'}' ;;
                *quit*) exit 3 ;;
                *) answer ;;
                esac
            done
            """, hangPatience: 0.2
        ) { run, _ in run.recordedEnd = end }
        #expect(result.stop == stop)
    }

    /// It has shut down, does not answer, and does not end until a signal wakes it.
    @Test func aQEMUThatWaitsInItsEndIsWoken() throws {
        let result = try watch(
            "answer; trap 'exit 7' TERM; read -r request <&3; shutdown; while :; do sleep 0.05; done")
        #expect(result.process == .exited(status: 7))
        #expect(result.stop == nil && !result.wasTerminated && !result.wasKilled)
        #expect(result.shutdownReason == "guest-shutdown" && result.instructions == 5)
    }

    /// A debugger resumes it between the look at its instructions and the question whether it runs: no hang.
    @Test func aQEMUThatHasOnlyJustResumedDoesNotHang() throws {
        let result = try watch(
            """
            answer
            while read -r request <&3; do
                case $request in *query-status*) say '{"event": "RESUME", "data": {}}'; answer; break ;; esac
                answer
            done
            shutdown
            exit 3
            """, hangPatience: 0.2)
        #expect(result.process == .exited(status: 3))
        #expect(result.stop == nil && result.shutdownReason == "guest-shutdown")
    }

    /// The same without a pause.
    @Test func aQEMUThatStandsStillHangs() throws {
        let result = try watch("answer; while read -r request <&3; do answer; done", hangPatience: 0.2)
        #expect(result.stop == .hung(icount: 5))
    }

    /// A QEMU that ends by itself gets no request and no signal, however long it takes.
    @Test func aQEMUThatHasShutDownIsLeftAlone() throws {
        let result = try watch("trap 'exit 9' TERM; shutdown; answer; read -t 3 -r request <&3 && exit 8; exit 3")
        #expect(result.process == .exited(status: 3))
        #expect(result.stop == nil && result.shutdownReason == "guest-shutdown")
    }
}

@Suite struct StandstillTests {
    /// Lines of `info registers`, of both widths.
    @Test(
        arguments: [
            (
                "RIP=000000000020008d RFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1",
                Standstill.Processor.halted(ip: 0x20_008d, interruptsOn: false), "interrupts off"
            ),
            (
                "EIP=0000fff0 EFL=00000202 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1",
                .halted(ip: 0xfff0, interruptsOn: true), "waits for an interrupt"
            ),
            (
                "RIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0",
                .ready(ip: 0xffff_ffff_8100_0000), "QEMU executes nothing"
            ),
            ("unknown command", .unknown, "does not answer"), (nil, .unknown, "does not answer"),
        ] as [(String?, Standstill.Processor, String)])
    func theProcessorsState(registers: String?, processor: Standstill.Processor, text: String) {
        let answer = registers.map { "CPU#0\r\nRAX=0\r\n\($0)\r\n" }
        let seen = Standstill(icount: 17, seconds: 10, processor: .init(registers: answer))
        #expect(seen.processor == processor)
        #expect(seen.text.contains("instruction 17 for 10 s") && seen.text.contains(text), "\(seen.text)")
    }

    /// Each standstill is reported once; one that lasts to the end is reported with its complete length.
    @Test func isReportedOnceEachTime() {
        var reported: [UInt64] = []
        var watch = StandstillWatch(patience: 3) { reported.append($0.icount) }
        for (icount, now) in [(5, 0), (5, 2), (5, 4), (5, 6), (9, 7), (9, 9), (9, 10), (9, 11)] as [(UInt64, Double)] {
            if watch.observe(icount: icount, now: now) { watch.note(icount: icount, processor: .unknown, now: now) }
        }
        #expect(reported == [5, 9])
        #expect(watch.lasting(now: 20) == Standstill(icount: 9, seconds: 13, processor: .unknown))
        _ = watch.observe(icount: 10, now: 21)
        #expect(watch.lasting(now: 22) == nil)
    }

    @Test func aMonitorThatDoesNotAnswerIsReported() {
        var reported = 0
        var watch = StandstillWatch(patience: 3) { _ in reported += 1 }
        for silence in [1, 2, 4, 5] { watch.observe(silence: Double(silence), icount: 7, now: Double(silence)) }
        #expect(reported == 1)
    }
}

@Suite struct ChildProcessTests {
    private func waited(_ child: ChildProcess) -> ProcessEnd? {
        for _ in 0..<500 {
            if let end = child.poll() { return end }
            usleep(10_000)
        }
        return nil
    }

    @Test func exitStatusAndOutput() throws {
        let scratch = try temporaryDirectory()
        let output = scratch.file("output")
        let child = try ChildProcess(
            path: "/bin/sh", arguments: ["sh", "-c", "echo out; echo err >&2; exit 7"], inheriting: [], output: output)
        #expect(waited(child) == .exited(status: 7))
        #expect(Files.tail(output) == "out\nerr\n")
    }

    @Test func aSignalIsReported() throws {
        let child = try ChildProcess(path: "/bin/sleep", arguments: ["sleep", "60"], inheriting: [], output: nil)
        child.signal(SIGTERM)
        #expect(waited(child) == .signaled(signal: SIGTERM))
        // No signal is sent any more: another process may have the number.
        child.signal(SIGKILL)
        #expect(child.end == .signaled(signal: SIGTERM))
    }

    /// A tool that is killed between the start of a program and its bond to the tool leaves the program to another parent.
    @Test func aBoundProgramIsStartedForItsToolOnly() throws {
        let scratch = try temporaryDirectory()
        let output = scratch.file("output")
        let own = try ChildProcess(
            path: "/bin/echo", arguments: ["echo", "own", "$two  words"], inheriting: [], output: output,
            diesWithTool: true)
        #expect(waited(own) == .exited(status: 0))
        let words = BoundProgram.words("/bin/echo", ["of another parent"])
        let other = try ChildProcess(
            path: "/bin/sh", arguments: ["sh", "-c", "\"$@\"; exit 5", "sh"] + words, inheriting: [], output: output)
        #expect(waited(other) == .exited(status: 5))
        #expect(Files.tail(output) == "own $two  words\n")
    }

    @Test func hasAProcessGroupOfItsOwn() throws {
        let child = try ChildProcess(path: "/bin/sleep", arguments: ["sleep", "60"], inheriting: [], output: nil)
        defer { child.endNow() }
        #expect(getpgid(child.pid) == child.pid)
        #expect(getpgid(child.pid) != getpgrp())
    }

    /// Descriptors get the numbers that were asked for, even if one of them has the number of another.
    @Test func descriptorsAreInherited() throws {
        let scratch = try temporaryDirectory()
        let first = open(try scratch.write("first", "1"), O_RDONLY | O_CLOEXEC)
        let second = open(try scratch.write("second", "2"), O_RDONLY | O_CLOEXEC)
        defer {
            close(first)
            close(second)
        }
        let output = scratch.file("output")
        let child = try ChildProcess(
            path: "/bin/bash",
            arguments: ["bash", "-c", "cat <&\(second); cat <&\(first)"],
            inheriting: [(first, second), (second, first)], output: output)
        #expect(waited(child) == .exited(status: 0))
        #expect(Files.tail(output) == "12")
    }

    /// A file that the user's shell holds open is none of the run's.
    @Test func otherDescriptorsAreClosed() throws {
        let scratch = try temporaryDirectory()
        let inherited = open(try scratch.write("lock", ""), O_RDWR)
        defer { close(inherited) }
        let output = scratch.file("output")
        let child = try ChildProcess(
            path: "/bin/ls", arguments: ["ls", "-l", "/proc/self/fd"], inheriting: [], output: output)
        #expect(waited(child) == .exited(status: 0))
        #expect(Files.tail(output).contains("output") && !Files.tail(output).contains("lock"), "\(Files.tail(output))")
    }

    @Test func aMissingProgramIsAnError() {
        #expect(throws: RunError.system(doing: "start", path: "/no/such", code: ENOENT)) {
            try ChildProcess(path: "/no/such", arguments: ["x"], inheriting: [], output: nil)
        }
    }
}

@Suite struct OutcomeTests {
    private func outcome(
        _ change: (inout RunMonitor.Result) -> Void, devices: [String] = [], messages: [String] = []
    ) -> RunOutcome {
        var result = RunMonitor.Result(
            stop: nil, process: .exited(status: 0), shutdownReason: nil, instructions: 5, seconds: 1)
        change(&result)
        var guest = GuestConfiguration()
        guest.devices = devices
        let program = QEMUProgram(path: "/q", version: "7.2.22 (Debian)")
        return QEMUEngine(program: program, guest: guest, plugin: nil)
            .outcome(of: result, kind: .recording, messages: messages)
    }

    /// Exit status 1 means success, an error of QEMU, or an unknown end.
    @Test func theExitStatusAloneShowsNothing() {
        let exit = ["isa-debug-exit,iobase=0xf4,iosize=4"]
        let complaint = ["qemu-system-x86_64: could not load PC BIOS"]
        let one: (inout RunMonitor.Result) -> Void = { $0.process = .exited(status: 1) }
        #expect(outcome(one, devices: exit).reason == .guestShutdown)
        #expect(outcome(one, devices: exit, messages: complaint).reason == .hostError)
        #expect(outcome(one, messages: complaint).reason == .hostError)
        #expect(outcome(one).reason == .unknown)
        let warning = ["qemu-system-x86_64: warning: TCG doesn't support requested feature", "ttd: a note"]
        #expect(outcome(one, devices: exit, messages: warning).reason == .guestShutdown)
    }

    @Test func theShutdownReasonsOfQEMU() {
        let expected: [(String, RunOutcome.Reason)] = [
            ("guest-shutdown", .guestShutdown), ("guest-reset", .guestReset), ("guest-panic", .guestPanic),
            ("host-qmp-quit", .hostQuit), ("host-signal", .hostQuit), ("host-error", .hostError), ("new", .unknown),
        ]
        for (word, reason) in expected {
            let seen = outcome { $0.shutdownReason = word }
            #expect(seen.reason == reason, "\(word)")
        }
        let panicked = outcome { $0.guestPanicked = true }
        #expect(panicked.reason == .guestPanic)
    }

    @Test func whatTheMonitorDidComesFirst() {
        let hung = outcome {
            $0.stop = .hung(icount: 17)
            $0.shutdownReason = "host-qmp-quit"
            $0.wasTerminated = true
        }
        #expect(hung.reason == .hung)
        #expect(hung.text.contains("17"))
        #expect(hung.text.contains("terminated"))
        let stood = outcome {
            $0.stop = .timeLimit(seconds: 5)
            $0.standstill = Standstill(icount: 17, seconds: 4, processor: .unknown)
        }
        #expect(stood.reason == .hostQuit)
        #expect(stood.text.contains("5.0 s; it had made no progress after instruction 17 for 4 s"), "\(stood.text)")
        let interrupted = outcome { $0.stop = .signal(SIGINT) }
        #expect(interrupted.reason == .hostQuit)
        #expect(interrupted.wasInterrupted)
        #expect(!hung.wasInterrupted)
        let killed = outcome { $0.process = .signaled(signal: SIGKILL) }
        #expect(killed.reason == .killed)
        let crashed = outcome { $0.process = .signaled(signal: SIGSEGV) }
        #expect(crashed.reason == .hostError)
    }
}

@Suite struct ShellWordTests {
    @Test(arguments: [
        ("/tmp/a-b.c", "/tmp/a-b.c"), ("a b", "'a b'"), ("", "''"), ("it's", "'it'\\''s'"), ("$x", "'$x'"),
    ])
    func quoting(word: String, expected: String) {
        #expect(ShellWord.quoted(word) == expected)
    }
}
