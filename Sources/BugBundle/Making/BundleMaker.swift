// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import Glibc
import LogFormat
import Reporting
import RunDirectory
import Symbolize

/// Makes the bundle of a divergence.
///
///     let maker = BundleMaker(alignment, original: ReportedRun(a), replay: ReportedRun(b))
///     try maker.write(to: "bug.ttbug")
///
/// The bundle has slices of both logs around the divergence, the report, the manifests of the runs, pieces of the symbol
/// files with the code that the slices ran, and the sources of the lines in the report.
public struct BundleMaker {
    /// What is put in, and how.
    public struct Options: Sendable {
        /// Branches of each side before and after the divergence.
        public var radius: UInt64 = 1_000_000
        /// Branches of each side in the pair of text files.
        public var textRadius: UInt64 = 2_000
        /// Branches and events of each side in the report, if it is made anew.
        public var contextCount = 8
        /// Whether the contents of events, the console and the manifests' settings are left out.
        public var isRedacted = false
        /// Whether everything that replays the recording is put in.
        public var includesRecording = false
        /// The tool and its version.
        public var tool = ""

        /// The standard options.
        public init() {}
    }

    let alignment: AlignmentResult
    let original: ReportedRun
    let replay: ReportedRun
    let options: Options
    /// Completes a document: command lines of its next steps.
    public var completeDocument: (inout DivergenceDocument) -> Void = { _ in }
    /// What the report has in addition. Source files are looked for in its tree first. A bundle without the contents of
    /// events has no zoom.
    public var content = DocumentContent(hasDetails: true)

    /// Prepares a bundle.
    ///
    /// - Parameters:
    ///   - alignment: The result of comparing the two logs.
    ///   - original: The recording.
    ///   - replay: The other run.
    public init(_ alignment: AlignmentResult, original: ReportedRun, replay: ReportedRun, options: Options = Options())
    {
        (self.alignment, self.original, self.replay, self.options) = (alignment, original, replay, options)
    }

    /// Makes and writes the bundle.
    ///
    /// - Returns: The manifest that was written, without the list of members, and the size of the file.
    @discardableResult
    public func write(to path: String) throws -> (manifest: BundleManifest, size: UInt64) {
        let scratch = try PrivateDirectory(named: "tt-bundle")
        let paths = HostPaths([original, replay])
        let sides = [
            try BundleSide("original", original, window(.original), options, paths, scratch),
            try BundleSide("replay", replay, window(.replay), options, paths, scratch),
        ]
        let document = try document(sides, paths)
        let pieces = try symbolPieces(sides, document)
        var sources = SourceFiles(document) { content.sources?.lines(of: $0)?.path ?? $0 }
        if original.symbolizer == nil, replay.symbolizer == nil {
            sources = SourceFiles(document) { _ in "" }
        }
        var members = try reports(document) + sides.flatMap(\.members) + texts(sides) + pieces.members + sources.members
        var manifest = BundleManifest()
        manifest.tool = options.tool
        manifest.verdict = alignment.verdict.kind.rawValue
        manifest.summary = options.isRedacted ? alignment.verdict.title : document.summary
        manifest.zoom = document.zoom.map { $0.originText ?? $0.reason ?? $0.outcome.rawValue }
        manifest.isRedacted = options.isRedacted
        (manifest.original, manifest.replay) = (sides[0].run, sides[1].run)
        manifest.original.symbols = pieces.placements.original
        manifest.replay.symbols = pieces.placements.replay
        manifest.symbolFiles = pieces.files
        manifest.sources = sources.sources
        manifest.missing = missing(sides) + sources.missing
        manifest.warnings = warnings
        if options.includesRecording { members += try RecordingFiles(original, &manifest).members }
        let size = try BundleWriter.write(manifest, members, to: path)
        return (manifest, size)
    }

    // MARK: - Parts

    /// The clocks of a side around the divergence; the end of a run that has none.
    private func window(_ side: Side) -> Range<UInt64> {
        let run = side == .original ? original : replay
        let divergence = alignment.divergence ?? alignment.vcpus.lazy.compactMap(\.divergence).first
        let position = side == .original ? divergence?.original.clock : divergence?.replay.clock
        let clock = position ?? run.log.comparableEnd(vcpu: 0)?.clock ?? run.log.lastClock
        let (end, overflow) = clock.addingReportingOverflow(max(1, options.radius))
        return clock - min(clock, options.radius)..<(overflow ? .max : end)
    }

    private func symbolPieces(_ sides: [BundleSide], _ document: DivergenceDocument) throws -> SymbolPieces {
        func touched(_ side: BundleSide, _ run: ReportedRun) -> (Symbolizer, [Range<UInt64>])? {
            run.symbolizer.map { symbolizer in
                var code = TouchedCode(side.slice)
                for address in document.codeAddresses { code.add(address) }
                return (symbolizer, code.ranges.joinedRanges())
            }
        }
        return try SymbolPieces(original: touched(sides[0], original), replay: touched(sides[1], replay))
    }

    /// The pair of texts, from the last event before the divergence that both runs have, or a little before.
    private func texts(_ sides: [BundleSide]) -> [BundleMember] {
        guard let divergence = alignment.divergence else { return [] }
        let clock = divergence.original.clock
        let lastEvent = divergence.context.lastEvents.last?.clock ?? 0
        let start = max(min(clock, max(lastEvent, clock - min(clock, options.textRadius))), sides[0].window.lowerBound)
        let distance = clock - start
        let ends = [(sides[0], clock), (sides[1], divergence.replay.clock)]
        return zip(ends, [("orig.run", original), ("replay.run", replay)]).map { end, side in
            let from = end.1 - min(end.1, distance)
            var text = BranchText(side.1.symbolizer)
            let lines = text.lines(
                end.0.slice, vcpu: divergence.vcpu, from..<end.1 + min(options.textRadius, .max - end.1))
            return BundleMember(side.0, .bytes(lines))
        }
    }

    private var warnings: [String] {
        options.isRedacted
            ? ["Branch addresses, the names of files and the settings of the runs are still in the bundle."]
            : [
                "The logs hold what the guest read: keys, passwords and personal data can be among it. Before you pass the "
                    + "bundle on, consider one without the contents of events and without the console."
            ]
    }

    private func missing(_ sides: [BundleSide]) -> [BundleManifest.Missing] {
        var missing: [BundleManifest.Missing] = []
        for side in sides where !side.run.isWhole {
            missing.append(
                BundleManifest.Missing(
                    "branches and events of the \(side.name) outside \(side.window.lowerBound) to \(side.window.upperBound)",
                    "the bundle has a slice around the divergence"))
        }
        for side in sides where !side.hasManifest {
            missing.append(BundleManifest.Missing("manifest of the \(side.name)", "its log is in no run directory"))
        }
        if original.symbolizer == nil {
            missing.append(BundleManifest.Missing("symbols and code", "no symbol file was given"))
        } else {
            missing.append(
                BundleManifest.Missing(
                    "the rest of the symbol files", "functions that the slices ran are in the bundle"))
        }
        missing.append(BundleManifest.Missing("indexes", "made on opening: that takes less time than to read them"))
        if !options.includesRecording {
            missing.append(
                BundleManifest.Missing(
                    "what replays the recording: the input log, snapshots, kernel, disks", "they were not asked for"))
        }
        if options.isRedacted {
            missing.append(BundleManifest.Missing("contents of events, register words, console", "left out on request"))
        }
        if options.isRedacted, content.zoom != nil {
            missing.append(BundleManifest.Missing("what running both sides again has shown", "left out on request"))
        }
        if sides.contains(where: { $0.slice.vcpus.count > 1 }) {
            missing.append(
                BundleManifest.Missing(
                    "a common window of all vCPUs", "each vCPU is cut at the same counts, which are not the same time"))
        }
        return missing
    }
}

extension LogFile {
    /// The highest clock of a branch, an event or an access.
    var lastClock: UInt64 { chunks.lazy.filter { $0.stream != .meta }.map(\.clockLast).max() ?? 0 }
}
