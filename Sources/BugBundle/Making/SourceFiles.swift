// SPDX-License-Identifier: GPL-2.0-or-later

import Reporting
import RunDirectory

/// Collects the source files whose lines a report shows.
///
/// A symbol file from a stranger may name any file of this machine as a source. So only files whose names end as those of
/// sources do are read.
struct SourceFiles {
    /// The members.
    private(set) var members: [BundleMember] = []
    /// Their descriptions.
    private(set) var sources: [BundleManifest.Source] = []
    /// Those that are not in the bundle.
    private(set) var missing: [BundleManifest.Missing] = []

    /// Bytes of one file, and of all.
    static let (fileLimit, totalLimit) = (1 << 20, 16 << 20)
    private static let fileCountLimit = 1000
    private static let endings: Set<String> = [
        "S", "a", "ads", "adb", "asm", "c", "cc", "cpp", "cxx", "d", "def", "go", "h", "hh", "hpp", "hxx", "i", "ii",
        "inc",
        "inl", "l", "lds", "m", "mm", "nasm", "rs", "s", "swift", "tbl", "y", "zig",
    ]

    /// - Parameters:
    ///   - document: The report.
    ///   - locate: Returns where a source file is on this machine.
    init(_ document: DivergenceDocument, locate: (String) -> String) {
        var total = 0
        for path in document.sourceFiles.prefix(SourceFiles.fileCountLimit) {
            let ending = path.split(separator: "/").last.flatMap { name in
                name.lastIndex(of: ".").map { String(name[name.index(after: $0)...]) }
            }
            guard let ending, SourceFiles.endings.contains(ending) else {
                missing.append(BundleManifest.Missing("source \(path)", "its name is not that of a source file"))
                continue
            }
            guard let bytes = try? PlainFile(locate(path), what: "source").contents(limit: SourceFiles.fileLimit) else {
                missing.append(BundleManifest.Missing("source \(path)", "not found, or longer than 1 MiB"))
                continue
            }
            guard total + bytes.count <= SourceFiles.totalLimit else {
                missing.append(BundleManifest.Missing("source \(path)", "all sources have at most 16 MiB"))
                continue
            }
            total += bytes.count
            let name = "sources/\(sources.count)-\(MemberName.made(from: path))"
            members.append(BundleMember(name, .bytes(bytes)))
            sources.append(BundleManifest.Source(member: name, path: path))
        }
    }
}

extension DivergenceDocument {
    /// The source files whose lines the document shows, in alphabetical order.
    var sourceFiles: [String] {
        var places: [String?] = []
        for item in vcpus.compactMap(\.divergence) {
            for position in [item.original, item.replay] {
                places += position.source ?? []
                places += (position.inlinedInto ?? []).map(\.source)
            }
            for branch in item.lastCommonBranches + item.originalNext.branches + item.replayNext.branches {
                places += [branch.source, branch.toSource]
            }
            places += (item.callStack.frames + item.originalNext.calls + item.replayNext.calls).map(\.source)
            places += item.decidingSteps.map(\.source)
        }
        places += zoom?.chain.map(\.source) ?? []
        // `file.c:12`; the file's name may have colons.
        let files = places.compactMap { place in
            place.flatMap { text in text.lastIndex(of: ":").map { String(text[..<$0]) } }
        }
        let listed = vcpus.compactMap(\.divergence?.sourceListing?.file)
        return Set(files + listed).sorted()
    }

    /// The addresses of code that the document names.
    var codeAddresses: [UInt64] {
        let chain = zoom?.chain.map(\.ip.rawValue) ?? []
        return chain
            + vcpus.compactMap(\.divergence).flatMap { item in
                let stack = item.callStack.frames + item.originalNext.calls + item.replayNext.calls
                let inputs =
                    item.lastInputs.flatMap { [$0.original.ip, $0.replay?.ip] } + [item.original.ip, item.replay.ip]
                return stack.flatMap { [$0.callSite.rawValue, $0.target.rawValue] } + inputs.compactMap { $0?.rawValue }
                    + item.decidingSteps.map(\.address.rawValue)
            }
    }
}

extension DivergenceDocument.DivergenceItem {
    /// The deciding instruction, and those from which its data came.
    fileprivate var decidingSteps: [DivergenceDocument.DecisionStep] {
        decidedBy.map { [$0.instruction] + $0.steps } ?? []
    }
}
