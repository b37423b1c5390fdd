// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory

/// A hypervisor that records a guest and replays it, with the settings of one run.
///
/// ``Recording`` and ``Replay`` drive an engine in this order:
///
/// 1. ``checkRecording()``, or ``replaying(_:options:warnings:)`` for a replay: settings that cannot work are refused.
/// 2. ``filesToIdentify()``: the files that determine the guest's run are digested.
/// 3. ``prepare(_:warnings:)``: files that the engine needs are created in the run's directory.
/// 4. ``start(_:)``: the guest is paused. ``RunningGuest/openFiles()`` shows files that the settings do not. Then it runs;
///    ``RunMonitor`` watches it and ends it where it must.
/// 5. ``outcome(of:plan:)``, ``join(_:plan:warnings:)``, ``record(_:log:)``: the results of the run go into the log and
/// the manifest.
public protocol Engine: Sendable {
    /// The changes that a caller may request in a replay and in its log.
    associatedtype ReplayOptions: Sendable

    /// The engine's name in manifests: `qemu`.
    static var name: String { get }
    /// The engine's name in messages: `QEMU`.
    static var displayName: String { get }
    /// The program's version, as it prints it. A recording is bound to it.
    var version: String { get }
    /// The files in the settings that determine the guest's run. A replay reads all of them again.
    func filesToIdentify() throws(RunError) -> [(role: String, path: String)]
    /// Other files that a run needs; a recording must not remove them either.
    var otherInputs: [String] { get }
    /// Whether the run makes a log.
    var makesLog: Bool { get }
    /// Whether the engine writes a log of input of its own; without one, the log is what a replay is made from.
    var hasInputLog: Bool { get }
    /// Whether a faithful replay ends with the exit status of its recording.
    var exitStatusIsReliable: Bool { get }

    /// Refuses a guest or settings that the engine cannot record, and makes all paths absolute.
    mutating func checkRecording() throws(RunError)

    /// The engine for a replay.
    ///
    /// The manifest may come from a stranger. An engine takes settings of known kinds from it, and nothing that runs a
    /// program, loads a library, or reaches a file whose contents were not checked.
    ///
    /// - Parameters:
    ///   - located: for each file of the recording, by its recorded path, the path of the file with the same contents.
    ///   - warnings: receives differences from the recording that do not matter to the guest.
    static func replaying(
        _ recording: Manifest, located: [String: String], options: ReplayOptions, warnings: inout [String]
    ) throws(RunError) -> Self

    /// The roles of the recording's files that the replay replaces by others.
    static func replacedRoles(_ options: ReplayOptions, in recording: Manifest) -> Set<String>

    /// The settings in which a run with this engine would differ from a recording; files are compared by the caller.
    func differences(from recording: Manifest) throws(RunError) -> [ManifestDifference]

    /// Creates the files that the engine needs in the run's directory.
    ///
    /// - Parameter plan: its input log may be replaced by a repaired copy.
    func prepare(_ plan: inout RunPlan, warnings: inout [String]) throws(RunError)

    /// Starts the engine with a guest that is paused before its first instruction.
    func start(_ plan: RunPlan) throws(RunError) -> any RunningGuest

    /// How the run ended, from the monitor's observations and the engine's output.
    func outcome(of result: RunMonitor.Result, plan: RunPlan) -> RunOutcome

    /// Compares a log with the engine's input log: causes, leftovers, and up to where the log can be compared.
    func join(
        _ log: LogFile, plan: RunPlan, warnings: inout [String]
    ) -> (join: RunLogSummary.Join, end: RunLogSummary.End?)?

    /// The choices that the run made for the guest and that may interest the user, one sentence each.
    var choices: [String] { get }

    /// The engine's part of the manifest.
    ///
    /// - Parameter log: nil before the run has ended.
    func record(_ plan: RunPlan, log: RunLogSummary??) -> EngineRecord

    /// The engine's settings that become attributes of the log, so that the log can be read without its manifest.
    var attributes: [(key: String, value: String)] { get }
}

extension Engine {
    /// Most engines write their own log of input.
    public var hasInputLog: Bool { true }
}

/// One run that an engine is to make.
public struct RunPlan {
    /// A recording or a replay.
    public var kind: Manifest.RunKind
    /// The recording's UUID: 32 hexadecimal digits.
    public var uuid: String
    /// The recording's files; the same as ``files`` for a recording.
    public var source: RunFiles
    /// Where the run's files go.
    public var files: RunFiles
    /// The engine's input log: written by a recording, read by a replay.
    public var inputLog: String
    /// The manifest of the recording that is replayed; nil for a recording.
    public var recording: Manifest?
    /// Whether a recording keeps a snapshot of its beginning.
    public var keepsSnapshot = false
    /// The lock that the engine's process inherits.
    let lock: DirectoryLock
}

extension RunPlan {
    /// Whether a file is one that the run itself writes or reads: not an input of the guest.
    func isOwn(_ path: String) -> Bool {
        path == inputLog || RunFiles.allNames.contains { path == "\(files.directory)/\($0)" }
            || [files, source].contains { path == "\($0.directory)/\(RunFiles.lockName)" }
    }
}
