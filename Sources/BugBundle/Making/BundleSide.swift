// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Reporting
import RunDirectory

/// The part of a bundle that is about one run: its slice, its manifest and its console.
struct BundleSide {
    /// `original` or `replay`: the directory in the bundle.
    let name: String
    /// The clocks of the slice.
    let window: Range<UInt64>
    /// The slice, opened.
    let slice: LogFile
    /// The run as the report describes it: with the paths of the bundle, and without the contents of events if these are
    /// left out.
    private(set) var described: ReportedRun
    /// The description in the bundle's manifest.
    private(set) var run = BundleManifest.Run()
    /// The members.
    private(set) var members: [BundleMember]
    /// Whether the run has a manifest.
    private(set) var hasManifest = false

    /// Bytes of the console that are kept, its last ones.
    static let consoleLimit = 1 << 20

    init(
        _ name: String, _ source: ReportedRun, _ window: Range<UInt64>, _ options: BundleMaker.Options,
        _ paths: HostPaths, _ scratch: borrowing PrivateDirectory
    ) throws {
        self.name = name
        self.window = window
        let path = "\(scratch.path)/\(name).log"
        let log = source.log
        run.isWhole = window.lowerBound <= log.header.clockBase && window.upperBound > log.lastClock
        // Compressed cells that both logs have are equal bytes: the bundle's own compression stores them once.
        _ = try LogFormat.slice(
            log, to: path, from: window.lowerBound, to: window.upperBound == .max ? .max : window.upperBound,
            isReproducible: true, isRedacted: options.isRedacted)
        slice = try LogFile(path: path)
        run.directory = name
        (run.from, run.to) = (String(window.lowerBound), String(window.upperBound))
        run.recorder = log.header.recorderName
        run.recordingUUID = log.header.uuid.isKnown ? log.header.uuid.description : nil
        members = [BundleMember("\(name)/ttd.log", .file(path))]
        described = source
        if options.isRedacted { described.log = slice }
        (described.directory, described.settings) = (nil, [])
        described.symbolFiles = source.symbolFiles.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
        try addRun(source, options, paths)
    }

    /// Adds what the run directory has.
    private mutating func addRun(_ source: ReportedRun, _ options: BundleMaker.Options, _ paths: HostPaths) throws {
        guard let directory = source.directory, let manifest = try? Manifest.read("\(directory)/\(Manifest.fileName)")
        else { return }
        let neutral = manifest.neutral(without: paths)
        let path = "\(name)/\(Manifest.fileName)"
        members.append(BundleMember(path, .bytes(try neutral.json(path: path))))
        hasManifest = true
        described.directory = name
        described.settings = RunSetting.all(in: neutral)
        let console = "\(directory)/\(RunFiles.serialLogName)"
        if !options.isRedacted, Files.exists(console) {
            let text = Files.tail(console, limit: BundleSide.consoleLimit)
            members.append(BundleMember("\(name)/\(RunFiles.serialLogName)", .bytes(Array(text.utf8))))
        }
    }
}
