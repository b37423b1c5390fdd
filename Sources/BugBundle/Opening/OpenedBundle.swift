// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import Reporting
import RunDirectory
import Symbolize

/// An unpacked bundle.
public struct OpenedBundle: Sendable {
    /// The bundle.
    public let path: String
    /// The directory that holds its members.
    public let directory: String
    /// What the bundle is.
    public let manifest: BundleManifest
    /// Keeps the directory from being removed from the cache while this value lives.
    let hold: DirectoryHold

    /// Keeps the directory for the program that takes the place of this one, too.
    public func staysInNextProgram() { hold.staysInNextProgram() }

    /// A run of the bundle.
    public func run(_ side: Side) -> BundleManifest.Run { side == .original ? manifest.original : manifest.replay }

    /// The run directory of a side.
    public func path(_ side: Side) -> String { "\(directory)/\(run(side).directory)" }

    /// The pieces of symbol files of a side, as command lines name symbol files.
    public func symbolFiles(_ side: Side) -> [String] {
        run(side).symbols.map { "\(directory)/\($0.member)+\($0.slide),\($0.from):\($0.to)" }
    }

    /// The path of a member; nil if the bundle does not have it.
    public func member(_ name: String) -> String? {
        manifest.members.contains { $0.name == name } ? "\(directory)/\(name)" : nil
    }

    /// The report in the bundle.
    public func document() throws -> DivergenceDocument {
        guard let path = member("report.json") else {
            throw BundleError(file: self.path, member: "report.json", kind: .manifest("the bundle has no report"))
        }
        return try DivergenceDocument(json: String(decoding: try Files.contents(path), as: UTF8.self))
    }

    // MARK: - Making the verdict again

    /// Something that the report in the bundle says and the slices do not show.
    public struct Mismatch: Hashable, Sendable {
        /// What is compared: `verdict`, `replay position`, …
        public var what: String
        /// What the report says.
        public var reported: String
        /// What the slices show.
        public var found: String
    }

    /// The report made anew from the slices and the pieces of symbol files.
    public func makeDocument(options: AlignmentOptions = AlignmentOptions()) throws -> DivergenceDocument {
        let logs = [try LogFile(path: path(.original)), try LogFile(path: path(.replay))]
        let alignment = try align(logs[0], logs[1], options: options)
        let runs = try zip(logs, [Side.original, .replay]).map { log, side in
            ReportedRun(
                log, symbolizer: try symbolizer(side), symbolFiles: run(side).symbols.map(\.member),
                directory: path(side),
                settings: (try? Manifest.read("\(path(side))/\(Manifest.fileName)")).map(RunSetting.all) ?? [])
        }
        return DivergenceDocument(alignment, original: runs[0], replay: runs[1])
    }

    /// The symbols of a side; nil if the bundle has none.
    public func symbolizer(_ side: Side) throws -> Symbolizer? {
        let files = symbolFiles(side)
        guard !files.isEmpty else { return nil }
        let symbolizer = Symbolizer()
        for file in files { try symbolizer.add(SymbolFile(argument: file), machine: nil) }
        return symbolizer
    }

    /// Compares the report in the bundle with one that is made anew: verdict, place, fields, the branches around it, with
    /// their symbols and source lines. A zoom is passed over: slices do not show it.
    ///
    /// - Returns: What differs; empty if nothing does.
    public func verify() throws -> [Mismatch] {
        let reported = try document()
        var options = AlignmentOptions()
        let item = reported.vcpus.compactMap(\.divergence).first
        options.contextCount = min(
            20_000, max(8, item?.lastCommonBranches.count ?? 0, item?.originalNext.branches.count ?? 0))
        let found = try makeDocument(options: options)
        var mismatches: [Mismatch] = []
        func compare<Value: Equatable>(_ what: String, _ first: Value, _ second: Value) {
            guard first != second else { return }
            mismatches.append(Mismatch(what: what, reported: "\(first)", found: "\(second)"))
        }
        compare("verdict", reported.verdict, found.verdict)
        compare("kind of the difference", reported.detail, found.detail)
        compare("distance of the move", reported.moved, found.moved)
        compare("vCPU", reported.vcpu, found.vcpu)
        let pairs = (reported.vcpus.first { $0.divergence != nil }, found.vcpus.first { $0.divergence != nil })
        guard let first = pairs.0?.divergence, let second = pairs.1?.divergence else {
            compare("divergence", pairs.0 != nil, pairs.1 != nil)
            return mismatches
        }
        compare("original position", first.original, second.original)
        compare("replay position", first.replay, second.replay)
        compare("fields", first.fields, second.fields)
        // A slice may begin inside what a report shows.
        func tail<Element>(_ one: [Element], _ other: [Element]) -> ArraySlice<Element> { one.suffix(other.count) }
        func head<Element>(_ one: [Element], _ other: [Element]) -> ArraySlice<Element> { one.prefix(other.count) }
        compare(
            "last common branches", tail(first.lastCommonBranches, second.lastCommonBranches),
            tail(second.lastCommonBranches, first.lastCommonBranches))
        for (what, one, two) in [
            ("next branches of the original", first.originalNext, second.originalNext),
            ("next branches of the replay", first.replayNext, second.replayNext),
        ] {
            compare(what, head(one.branches, two.branches), head(two.branches, one.branches))
            compare("\(what): events", head(one.events, two.events), head(two.events, one.events))
        }
        return mismatches
    }
}
