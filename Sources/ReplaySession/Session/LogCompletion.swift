// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory

/// Completes a log after its run.
///
/// It closes a log whose engine died, joins it with the engine's input log, and appends facts that the recorder did not
/// know: how the run ended, up to where it can be compared, how it was set up.
struct LogCompletion<RunEngine: Engine> {
    let engine: RunEngine
    let plan: RunPlan
    /// With an outcome.
    let manifest: Manifest

    private var path: String { plan.files.log }

    /// - Parameter warnings: receives problems of the log.
    /// - Returns: nil when there is no readable log.
    func complete(warnings: inout [String]) -> RunLogSummary? {
        guard plan.files.place.kind(of: RunFiles.logName) == .file else {
            warnings.append("\(path): the recorder wrote no log")
            return nil
        }
        do throws(LogError) {
            closeIfNeeded(warnings: &warnings)
            let log = try LogFile(path: path)
            for damage in log.structuralDamage.prefix(5) { warnings.append("\(damage)") }
            if log.lostRecords > 0 {
                warnings.append("\(log.lostRecords) records could not be written\(reason(log.writerError))")
            }
            var summary = RunLogSummary(log)
            if let (join, end) = engine.join(log, plan: plan, warnings: &warnings) {
                summary.join = join
                // A log with losses ends before it.
                summary.comparableEnd = log.lostRecords > 0 ? nil : end
            }
            append(summary, warnings: &warnings)
            summary.bytes = plan.files.place.size(of: RunFiles.logName)
            return summary
        } catch {
            warnings.append("\(error)")
            return nil
        }
    }

    /// Opening a log to append closes it after its writer died.
    private func closeIfNeeded(warnings: inout [String]) {
        do throws(LogError) {
            guard try LogFile(path: path).completeness != .closed else { return }
            try LogWriter(appendingTo: path).close()
        } catch {
            warnings.append("\(error)")
        }
    }

    private func append(_ summary: RunLogSummary, warnings: inout [String]) {
        do throws(LogError) {
            let writer = try LogWriter(appendingTo: path)
            for (key, value) in attributes { writer.attribute(key, value) }
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

    /// The parts of the manifest that become attributes of the log.
    var attributes: [(String, String)] {
        var list: [(String, String)] = [("tool", manifest.tool)]
        list += engine.attributes.map { ($0.key, $0.value) }
        for file in manifest.files {
            list.append((LogCompletion.key(file.role) + ".path", file.identity.path))
            list.append((LogCompletion.digestKey(file.role), file.identity.sha256))
        }
        if let inputLog = manifest.engine.details["inputLog"]?["sha256"]?.string {
            list.append(("replay-bin.sha256", inputLog))
        }
        if let name = manifest.name { list.append(("replay.name", name)) }
        for (index, difference) in (manifest.forced ?? []).enumerated() {
            list.append(("replay.forced\(index)", "\(difference)"))
        }
        return list
    }

    private static func key(_ role: String) -> String { "guest." + role.filter { $0 != " " } }

    /// The attribute with the digest of a file of the guest.
    static func digestKey(_ role: String) -> String { key(role) + ".sha256" }

    private func reason(_ code: Int32) -> String { code == 0 ? "" : ": \(RunError.text(of: code))" }
}
