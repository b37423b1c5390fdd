// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Reporting

// The report in a bundle: the one that a file of its own has, with the paths of the bundle.
extension BundleMaker {
    /// Branches and events of each side in the text.
    private static let textContext = 8

    /// The report, with the paths that the receiver has. Without contents it is made of the slices, which have none.
    func document(_ sides: [BundleSide], _ paths: HostPaths) throws -> DivergenceDocument {
        let runs = sides.map(\.described)
        var (result, content) = (alignment, content)
        if options.isRedacted {
            var alignmentOptions = AlignmentOptions()
            alignmentOptions.contextCount = options.contextCount
            result = try align(runs[0].log, runs[1].log, options: alignmentOptions)
            content.zoom = nil
        }
        var document = DivergenceDocument(result, original: runs[0], replay: runs[1], content: content)
        (document.original.path, document.replay.path) = ("original", "replay")
        if !options.includesRecording {
            document.commands.removeAll { ![.listBranches, .listEvents].contains($0.action) }
        }
        for index in document.commands.indices {
            document.commands[index].path = document.commands[index].side.rawValue
        }
        for index in document.vcpus.indices {
            guard let file = document.vcpus[index].divergence?.sourceListing?.file else { continue }
            document.vcpus[index].divergence?.sourceListing?.path = file
        }
        document.zoom?.removeHost(paths.remove)
        completeDocument(&document)
        return document
    }

    /// The report as text, JSON and a page of HTML.
    func reports(_ document: DivergenceDocument) throws -> [BundleMember] {
        let text = document.withContext(BundleMaker.textContext).text(TextStyle(width: 100))
        return [
            BundleMember("report.txt", .bytes(Array(text.utf8))),
            BundleMember("report.json", .bytes(Array((try document.json() + "\n").utf8))),
            BundleMember("report.html", .bytes(Array(try HTMLReport(document).text().utf8))),
        ]
    }
}

extension DivergenceDocument.ZoomItem {
    /// Leaves out what is about the machine that ran the guests: the time that it took, and paths.
    fileprivate mutating func removeHost(_ withoutPaths: (String) -> String) {
        seconds = nil
        for index in steps.indices { steps[index].seconds = nil }
        reason = reason.map(withoutPaths)
        warnings = warnings.map(withoutPaths)
    }
}

extension DivergenceDocument {
    /// The document with at most so many branches and events on each side: a text is read from its beginning to its end.
    fileprivate func withContext(_ count: Int) -> DivergenceDocument {
        var short = self
        for index in short.vcpus.indices {
            guard var item = short.vcpus[index].divergence else { continue }
            item.lastCommonBranches = item.lastCommonBranches.suffix(count)
            item.lastCommonEvents = item.lastCommonEvents.suffix(count)
            item.originalNext.branches = Array(item.originalNext.branches.prefix(count))
            item.originalNext.events = Array(item.originalNext.events.prefix(count))
            item.replayNext.branches = Array(item.replayNext.branches.prefix(count))
            item.replayNext.events = Array(item.replayNext.events.prefix(count))
            short.vcpus[index].divergence = item
        }
        return short
    }
}
