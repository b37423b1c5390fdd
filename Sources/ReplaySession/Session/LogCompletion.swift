// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What is done with a log after its run: it is closed where QEMU died, joined with QEMU's input log, and told what
/// the recorder could not know: how the run ended, up to where it can be compared, what it was made of.
enum LogCompletion {
    /// - Parameters:
    ///   - inputLog: the replay.bin that the run wrote or read.
    ///   - warnings: receives what is wrong with the log.
    /// - Returns: nil when there is no readable log.
    static func complete(
        files: RunFiles, inputLog: String, manifest: Manifest, warnings: inout [String]
    ) -> RunLogSummary? {
        guard Files.exists(files.log) else {
            warnings.append("\(files.log): the plugin wrote no log")
            return nil
        }
        do throws(LogError) {
            closeIfNeeded(files.log, warnings: &warnings)
            let log = try LogFile(path: files.log)
            for damage in log.structuralDamage.prefix(5) { warnings.append("\(damage)") }
            if log.lostRecords > 0 {
                warnings.append("\(log.lostRecords) records could not be written\(reason(log.writerError))")
            }
            var summary = RunLogSummary(log)
            join(log, with: inputLog, into: &summary, warnings: &warnings)
            append(to: files.log, manifest: manifest, summary: summary, warnings: &warnings)
            summary.bytes = Files.size(files.log)
            return summary
        } catch {
            warnings.append("\(error)")
            return nil
        }
    }

    /// Whether nothing of a run stands in the log, or there is none.
    static func isEmpty(_ path: String) -> Bool {
        guard Files.exists(path), let log = try? LogFile(path: path) else { return true }
        return log.chunks.allSatisfy { $0.stream == .meta }
    }

    /// A log whose writer died is closed by opening it to append.
    private static func closeIfNeeded(_ path: String, warnings: inout [String]) {
        do throws(LogError) {
            guard try LogFile(path: path).completeness != .closed else { return }
            try LogWriter(appendingTo: path).close()
        } catch {
            warnings.append("\(error)")
        }
    }

    /// What QEMU's input log tells of the run: causes, leftovers, and up to where the log can be compared.
    private static func join(
        _ log: LogFile, with inputLog: String, into summary: inout RunLogSummary, warnings: inout [String]
    ) {
        do throws(LogError) {
            let input = try QEMUReplayLog(path: inputLog)
            if let damage = input.damage { warnings.append("\(damage)") }
            let join = try ReplayJoin.join(log, with: input)
            summary.join = RunLogSummary.Join(join)
            // A log with losses ends before it.
            summary.comparableEnd =
                log.lostRecords > 0
                ? nil
                : join.comparableEnd.map {
                    RunLogSummary.End(clock: $0.clock, instructions: $0.icount, reason: $0.reason)
                }
        } catch {
            warnings.append("\(error)")
        }
    }

    private static func append(
        to path: String, manifest: Manifest, summary: RunLogSummary, warnings: inout [String]
    ) {
        do throws(LogError) {
            let writer = try LogWriter(appendingTo: path)
            for (key, value) in manifest.attributes { writer.attribute(key, value) }
            if let join = summary.join {
                for (key, value) in join.attributes { writer.attribute(key, value) }
            }
            if let end = summary.comparableEnd {
                writer.comparableEnd(clock: end.clock, icount: end.instructions, reason: end.reason)
            }
            if let outcome = manifest.outcome { writer.runEnd(outcome.reason.logged, text: outcome.text) }
            try writer.close()
        } catch {
            warnings.append("\(error)")
        }
    }

    private static func reason(_ code: Int32) -> String {
        code == 0 ? "" : ": \(SessionError.text(of: code))"
    }

    /// What a replay's log shows to have gone differently, without comparing it branch by branch.
    static func differences(of replay: RunLogSummary?, recording: RunFiles) -> [String] {
        guard let replay, Files.exists(recording.log), let log = try? LogFile(path: recording.log) else { return [] }
        var list: [String] = []
        if let end = log.comparableEnd(vcpu: 0) {
            if replay.clock < end.clock {
                list.append(
                    "its log ends at branch \(replay.clock), the recording's can be compared up to \(end.clock)")
            } else if let other = replay.comparableEnd,
                // In instructions, where both know them: without branches the clock of the end is an estimate.
                end.icount.map({ other.instructions != $0 }) ?? (other.clock != end.clock)
            {
                list.append("it came to its end at branch \(other.clock), the recording at branch \(end.clock)")
            }
        }
        if let join = replay.join {
            for leftover in join.leftovers {
                guard let recorded = log.attributes[leftover.key].flatMap({ Int($0) }), recorded != leftover.count
                else { continue }
                list.append("\(leftover.count) \(leftover.text), in the recording \(recorded)")
            }
        }
        return list
    }
}

extension RunLogSummary.Join {
    init(_ join: ReplayJoin) {
        var counts: [JoinedCauseKind: Int] = [:]
        for cause in join.causes { counts[cause.kind, default: 0] += 1 }
        interrupts = counts[.interrupt] ?? 0
        exceptions = counts[.exception] ?? 0
        faults = counts[.fault] ?? 0
        softwareInterrupts = counts[.softwareInterrupt] ?? 0
        transitionsWithoutEvent = join.transitionsWithoutEvent
        eventsWithoutTransition = join.eventsWithoutTransition
    }

    /// What the log keeps of the join.
    var attributes: [(String, String)] {
        [
            ("join.interrupts", "\(interrupts)"), ("join.exceptions", "\(exceptions)"), ("join.faults", "\(faults)"),
            ("join.software-interrupts", "\(softwareInterrupts)"),
        ] + leftovers.map { ($0.key, "\($0.count)") }
    }

    /// What was left over, by the names of the attributes.
    var leftovers: [(key: String, count: Int, text: String)] {
        [
            (
                "join.transitions-without-event", transitionsWithoutEvent,
                "transitions that QEMU's input log does not explain"
            ),
            (
                "join.events-without-transition", eventsWithoutTransition,
                "interrupts and exceptions of QEMU's input log that no transition shows"
            ),
        ]
    }
}

extension RunLogSummary {
    init(_ log: LogFile) {
        var counts: [LogStream: UInt64] = [:]
        var clock = log.header.clockBase
        var instructions = log.attributes["recorder.instructions"].flatMap { UInt64($0) } ?? log.header.icountBase
        for chunk in log.chunks {
            // A body kept beside its elided chunk is not counted twice: the index holds one of them.
            counts[chunk.stream, default: 0] &+= UInt64(chunk.count)
            guard chunk.vcpu == 0 else { continue }
            instructions = max(instructions, chunk.icountLast)
            clock = max(clock, chunk.stream == .branch ? chunk.clockLast &+ 1 : chunk.clockLast)
        }
        self.init(
            path: log.path, bytes: log.fileSize, branches: counts[.branch] ?? 0, events: counts[.event] ?? 0,
            accesses: counts[.access] ?? 0, lost: log.lostRecords, clock: clock, instructions: instructions)
        pluginAPI = log.header.recorderGeneration == 0 ? nil : Int(log.header.recorderGeneration)
    }
}

extension RunOutcome.Reason {
    /// The reason as the log has it.
    var logged: RunEnd {
        switch self {
        case .unknown: .unknown
        case .guestShutdown: .guestShutdown
        case .guestReset: .guestReset
        case .guestPanic: .guestPanic
        case .hostQuit: .hostQuit
        case .hostError: .hostError
        case .inputExhausted: .inputExhausted
        case .hung: .hung
        case .killed: .killed
        }
    }
}

extension Manifest {
    /// What the log keeps of the manifest, so that it can stand alone.
    var attributes: [(String, String)] {
        var list: [(String, String)] = [
            ("tool", tool), ("qemu.version", qemu.version), ("guest.machine", guest.machine), ("guest.cpu", guest.cpu),
            ("guest.memory", guest.memory.description),
        ]
        func add(_ key: String, _ file: FileIdentity?) {
            guard let file else { return }
            list.append(("\(key).path", file.path))
            list.append(("\(key).sha256", file.sha256))
        }
        let clock = guest.resolvedClock
        list.append(("guest.icount", "shift=\(clock.shift),sleep=\(clock.sleep ? "on" : "off")"))
        add("guest.kernel", guest.kernel)
        add("guest.initrd", guest.initrd)
        if let commandLine = guest.commandLine { list.append(("guest.command-line", commandLine)) }
        for (index, disk) in guest.disks.enumerated() { add("guest.disk\(index)", disk.image) }
        if !guest.devices.isEmpty { list.append(("guest.devices", guest.devices.joined(separator: " "))) }
        if !guest.extraArguments.isEmpty {
            list.append(("guest.extra-arguments", guest.extraArguments.joined(separator: " ")))
        }
        add("plugin", plugin?.file)
        if let inputLog { list.append(("replay-bin.sha256", inputLog.sha256)) }
        if let name { list.append(("replay.name", name)) }
        for (index, difference) in (forced ?? []).enumerated() {
            list.append(("replay.forced\(index)", "\(difference)"))
        }
        return list
    }
}
