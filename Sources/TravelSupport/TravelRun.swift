// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import Formatting
import FoundationEssentials
@preconcurrency import Glibc
import LogFormat
import ReplaySession
import RunDirectory
import Symbolize
import ToolSupport

/// A run that is opened to be gone through: its log, its positions, its names, and QEMU once it is started.
public final class TravelRun {
    /// The run's directory.
    public let directory: String
    /// The run's positions.
    public let places: RunPlaces
    /// The names of addresses; nil without symbol files.
    public let symbolizer: Symbolizer?
    /// The addresses of kernel modules and their sections, as `--modules` has them.
    let modules: [ModuleList.Entry]
    private let run: RepeatableRun
    private let other: String?
    private let signals = SignalWatch()

    /// Opens a run's log and its input log, and reads its symbol files.
    public init(_ directory: String, _ options: TravelOptions) throws {
        self.directory = directory
        other = options.other
        run = try RepeatableRun(directory, comparedWith: options.other ?? directory)
        let inputLog = try QEMUReplayLog(path: "\(run.recording)/\(RunFiles.inputLogName)")
        places =
            Files.exists("\(directory)/\(RunFiles.logName)")
            ? try RunPlaces(log: LogFile(path: directory), inputLog: inputLog) : try RunPlaces(inputLog: inputLog)
        for damage in places.log.structuralDamage.prefix(TravelRun.damageShown) { Diagnostics.warning("\(damage)") }
        symbolizer = try options.symbols.symbolizer(
            for: places.log, orKernelOf: [directory], from: 0, to: .max, reading: .whole)
        modules = try TravelRun.modules(options.symbols, places.log)
    }

    /// Damaged parts of the log that are named when it is opened.
    private static let damageShown = 5

    /// Starts QEMU, paused before the first instruction.
    ///
    /// - Parameter keepsCheckpoints: whether the user goes back and forth. Then another replay runs ahead, too.
    public func start(_ options: ReplaySide.Options, isQuiet: Bool, keepsCheckpoints: Bool = false) throws
        -> TravelSession
    {
        guard keepsCheckpoints else { return try start(options, use: .existing) }
        let ahead = AheadProcess(directory, options)
        let session = try start(options, use: ahead == nil ? .own : .besideAhead)
        try session.keepCheckpoints()
        session.ahead = ahead
        return session
    }

    /// Starts QEMU, paused before the first instruction.
    func start(_ options: ReplaySide.Options, use: CheckpointUse) throws -> TravelSession {
        var options = options
        options.checkpointUse = use
        let session = try TravelSession(run, places: places, options: options)
        if use != .ahead { for warning in session.warnings { Diagnostics.warning(warning) } }
        session.onSilence = { Diagnostics.warning($0) }
        return session
    }

    /// Runs through the smallest window around two places that has exact edges, and logs it in full to a new log.
    ///
    /// - Throws: ``RunError`` if the file exists.
    public func trace(
        from: Place, to: Place, log path: String, _ options: ReplaySide.Options, logging: QEMUEngine.Logging,
        isQuiet: Bool
    ) throws -> TracedWindow {
        guard !Files.exists(path) else { throw RunError.system(doing: "create", path: path, code: EEXIST) }
        let window = try resolver.window(from: from, to: to)
        warnIfUncertain(window.to.icount)
        var options = options
        options.recorder = SleepingRecorder(
            log: path, logging: logging, clock: window.from.brctr ?? 0, icount: window.from.icount)
        do {
            let session = try start(options, isQuiet: isQuiet)
            let progress = RunProgress("replaying", total: window.to.engine.icount, isQuiet: isQuiet)
            session.onWait = { [unowned self] icount in
                progress.run(instructions: icount)
                try checkSignals()
            }
            defer { progress.finish() }
            try session.trace(window)
        } catch {
            for name in [path, path + ".open"] { unlink(name) }
            throw error
        }
        return try TracedWindow(window, path, run: places)
    }

    /// Goes to a place, with a line of progress. Ctrl-C ends it.
    public func go(_ session: TravelSession, to place: Place, isQuiet: Bool) throws {
        let destination = try resolver.destination(of: place)
        warnIfUncertain(destination.position.icount)
        let progress = RunProgress("replaying", total: destination.engine.icount, isQuiet: isQuiet)
        session.onWait = { [unowned self] icount in
            progress.run(instructions: icount)
            try checkSignals()
        }
        defer {
            progress.finish()
            session.onWait = { _ in }
        }
        try session.go(to: destination)
    }

    /// Warns about what makes a place uncertain: what comes after it does not.
    private func warnIfUncertain(_ icount: UInt64) {
        for warning in places.warnings(at: icount) { Diagnostics.warning(warning) }
    }

    /// Throws the tool's end if the user has interrupted it.
    ///
    /// - Parameter ignoringInterrupt: whether Ctrl-C is meant for gdb, which is in the same process group.
    public func checkSignals(ignoringInterrupt: Bool = false) throws {
        while let number = signals.wait(seconds: 0) {
            if number != SIGCHLD, !(ignoringInterrupt && number == SIGINT) { throw ToolStatus.trouble.exitCode }
        }
    }

    /// Throws if the user has interrupted the tool, as ``checkSignals(ignoringInterrupt:)`` does, or if a signal has ended QEMU.
    public func check(_ session: TravelSession, ignoringInterrupt: Bool = false) throws {
        try checkSignals(ignoringInterrupt: ignoringInterrupt)
        try session.checkEngine()
    }

    /// Finds places in this run.
    public var resolver: PlaceResolver {
        var resolver = PlaceResolver(places: places, directory: directory)
        resolver.symbol = { [symbolizer] name in
            guard let symbolizer else {
                throw PlaceError("no symbols are known that could name \(name): give --symbols FILE")
            }
            let found = symbolizer.resolve(name: name).map(\.lowerBound)
            guard !found.isEmpty else {
                let near = symbolizer.names(near: name)
                throw PlaceError(
                    "no function \(name) in the symbol files"
                        + (near.isEmpty ? "" : "; there is \(near.joined(separator: ", "))"))
            }
            return found
        }
        resolver.divergence = { [unowned self] in try divergence() }
        return resolver
    }

    /// The name of an address, with its offset.
    public func name(_ address: UInt64) -> String? {
        guard let symbolizer else { return nil }
        let lookup = symbolizer.lookup
        guard let (name, offset) = lookup.displayedSymbol(lookup.find(address)) else { return nil }
        return offset == 0 ? name : "\(name)+0x\(String(offset, radix: 16))"
    }

    /// The commands of a debugger's console for this run.
    public func commands(_ session: TravelSession) -> TravelCommands {
        var commands = TravelCommands(session, resolver)
        commands.name = { [unowned self] in name($0) }
        commands.others = [
            (
                TravelRun.calls,
                { [unowned self] _ in try openCalls(before: try session.position().brctr ?? 0) }
            )
        ]
        for view in LinuxView.allCases {
            commands.others.append((view.command, { [unowned self] _ in try text(view, session) }))
        }
        return commands
    }

    private static let calls = TravelCommand("calls", "", "the open calls, by the log's branches")

    /// The commands of ``commands(_:)``, for help texts.
    public static let commandList = TravelCommand.own + [calls] + LinuxView.allCases.map(\.command)

    /// Branches from which open calls are found: calls before them are unknown.
    private static let callReach: UInt64 = 1 << 24

    /// The open calls after so many transitions, the innermost first.
    private func openCalls(before brctr: UInt64) throws -> String {
        let finder = StackFinder(places.log, vcpu: 0, reach: TravelRun.callReach)
        let lines = finder.find(before: brctr, then: []).stack.frames.reversed().prefix(64).enumerated().map {
            number, frame in
            "#\(number)  \(name(frame.target) ?? "0x\(String(frame.target, radix: 16))")  \(frame.kind.name) at "
                + "\(name(frame.callSite) ?? "0x\(String(frame.callSite, radix: 16))"), brctr \(frame.clock + 1)"
        }
        return lines.isEmpty ? "no call is open" : lines.joined(separator: "\n")
    }

    // MARK: The divergence

    private func divergence() throws -> (brctr: UInt64, icount: UInt64?) {
        let partner = try partner()
        let isReplay = run.manifest.kind != .recording
        let other = try LogFile(path: partner)
        var options = AlignmentOptions()
        (options.contextCount, options.inputCount, options.stackReach) = (0, 0, 0)
        let result =
            isReplay
            ? try align(other, places.log, options: options) : try align(places.log, other, options: options)
        guard let divergence = result.divergence else {
            throw PlaceError("\(directory) and \(partner): the logs show no difference")
        }
        let (position, otherPosition) =
            isReplay ? (divergence.replay, divergence.original) : (divergence.original, divergence.replay)
        guard let difference = divergence.difference, divergence.clockSkew == 0,
            [.path, .instruction, .instructionCount].contains(difference.differenceClass)
        else { return (position.clock, position.icount) }
        // The branch that comes first is made by the last instruction that both runs have.
        let counts = [(places.log, position.clock), (other, otherPosition.clock)].compactMap { log, clock -> UInt64? in
            var branches = log.branches(from: clock, to: clock &+ 1)
            return branches.next()?.icount
        }
        return (position.clock, counts.min() ?? position.icount)
    }

    private func partner() throws -> String {
        if let other { return other }
        if run.manifest.kind != .recording { return run.recording }
        let replays = (try? Files.list("\(directory)/replays")) ?? []
        guard replays.count == 1 else {
            throw PlaceError(
                replays.isEmpty
                    ? "\(directory) has no replay to differ from: name a run with --other"
                    : "\(directory) has \(replays.count) replays (\(replays.joined(separator: ", "))): name one with --other"
            )
        }
        return "\(directory)/replays/\(replays[0])"
    }
}

/// The position of a stopped guest, for programs.
public struct StoppedPosition: Encodable {
    /// The place as it was named.
    public var place: String
    /// Transitions before it.
    public var brctr: String?
    /// Instructions before it, as the log counts.
    public var icount: String
    /// Instructions before it, as QEMU counts.
    public var engineInstructions: String
    /// The linear address of the next instruction.
    public var rip: String
    /// rcx.
    public var rcx: String
    /// The name of rip.
    public var symbol: String?
    /// The socket for a debugger.
    public var socket: String?
    /// The core file that was written.
    public var core: String?
    /// The values that were printed.
    public var values: [PrintedValue]?
    /// What a Linux guest answered.
    public var linux: LinuxAnswers?
    /// Lines for people.
    public var notes: [String] = []

    private enum CodingKeys: String, CodingKey {
        case place, brctr, icount, engineInstructions, rip, rcx, symbol, socket, core, values, linux
    }

    /// Describes a stopped session.
    public init(_ session: TravelSession, _ run: TravelRun, at place: Place) throws {
        let position = try session.position()
        self.place = place.description
        brctr = position.brctr.map(String.init)
        icount = String(position.icount)
        engineInstructions = String(session.side.icount)
        rip = "0x\(String(position.ip ?? 0, radix: 16))"
        rcx = "0x\(String(position.rcx ?? 0, radix: 16))"
        symbol = position.ip.flatMap(run.name)
    }

    /// One JSON document that begins with its schema and version, without a newline at its end.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let members = String(decoding: try encoder.encode(self), as: UTF8.self).dropFirst()
        return "{\n  \"schema\" : \"tt-analyze position\",\n  \"version\" : 1,\(members)"
    }

    /// One line.
    public var text: String {
        "stopped at brctr \(brctr ?? "?"), icount \(icount), rip \(rip)\(symbol.map { " <\($0)>" } ?? ""), rcx \(rcx)"
    }
}
