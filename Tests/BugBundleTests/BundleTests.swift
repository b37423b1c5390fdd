// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
@preconcurrency import Glibc
import LogFormat
import Reporting
import RunDirectory
import TestSupport
import Testing

@testable import BugBundle
@testable import Zoom

/// Bundles of small logs.
@Suite("Bundles")
struct BundleTests {
    static let original = """
        options kind=recording uuid=00112233445566778899aabbccddeeff features=branches,icount,labels,causes,accesses
        branch 0x1000 -> 0x1100 call! +3
        branch 0x1110 -> 0x1120 jcc! +2
        event interrupt ip=0x1120 info=32 value=0x9000
        branch 0x1120 -> 0x9000 none +0
        access port-read ip=0x9004 info=1 address=0x60 value=0x5ec7e7
        branch 0x9010 -> 0x1120 iret +4
        branch 0x1130 -> 0x1005 ret +5
        """

    static let replay = original.replacing("0x9010 -> 0x1120 iret", with: "0x9010 -> 0x1128 iret")

    /// Two logs, compared.
    struct Compared {
        let scratch: TemporaryDirectory
        let alignment: AlignmentResult
        let runs: [ReportedRun]

        init(_ original: String = BundleTests.original, _ replay: String = BundleTests.replay) throws {
            let scratch = try temporaryDirectory()
            self.scratch = scratch
            try assemble(original, to: scratch.file("a.log"))
            try assemble(replay, to: scratch.file("b.log"))
            runs = try ["a.log", "b.log"].map { ReportedRun(try LogFile(path: scratch.file($0))) }
            alignment = try align(runs[0].log, runs[1].log)
        }

        func write(
            _ name: String, zoom: ZoomResult? = nil, _ change: (inout BundleMaker.Options) -> Void = { _ in }
        ) throws -> String {
            var options = BundleMaker.Options()
            change(&options)
            var maker = BundleMaker(alignment, original: runs[0], replay: runs[1], options: options)
            maker.content.zoom = zoom
            try maker.write(to: scratch.file(name))
            return scratch.file(name)
        }

        func open(_ path: String) throws -> OpenedBundle {
            try BundleCache(directory: scratch.file("cache")).open(path)
        }
    }

    @Test func verdictComesBack() throws {
        let compared = try Compared()
        let bundle = try compared.open(try compared.write("bug.ttbug"))
        #expect(bundle.manifest.verdict == "control-flow")
        #expect(try bundle.verify() == [])
        let document = try bundle.document()
        #expect(document.verdict == .controlFlow)
        #expect(document.original.path == "original")
        #expect(try bundle.makeDocument().summary == document.summary)
        let text = String(decoding: try Files.contents("\(bundle.directory)/report.txt"), as: UTF8.self)
        #expect(text.contains(document.summary))
        let page = String(decoding: try Files.contents("\(bundle.directory)/report.html"), as: UTF8.self)
        #expect(page.hasPrefix("<!DOCTYPE html>") || page.hasPrefix("<!doctype html>"))
        // The pair of texts begins at the last common event.
        let pair = try ["orig.run", "replay.run"].map {
            String(decoding: try Files.contents("\(bundle.directory)/\($0)"), as: UTF8.self).split(separator: "\n")
        }
        #expect(pair[0].count == 2 && pair[1].count == 2)
        #expect(pair[0][0] == "0x9010  iret  0x1120" && pair[1][0] == "0x9010  iret  0x1128")
        #expect(pair[0][1] == pair[1][1])
    }

    @Test func sameInputsGiveTheSameBytes() throws {
        let (first, second) = (try Compared(), try Compared())
        // Logs differ in their nonces: the same files in two places.
        for name in ["a.log", "b.log"] {
            _ = try second.scratch.write(try Files.contents(first.scratch.file(name)), to: name)
        }
        let again = try ["a.log", "b.log"].map { ReportedRun(try LogFile(path: second.scratch.file($0))) }
        let one = try Files.contents(try first.write("one.ttbug"))
        try BundleMaker(second.alignment, original: again[0], replay: again[1]).write(
            to: second.scratch.file("two.ttbug"))
        #expect(try Files.contents(second.scratch.file("two.ttbug")) == one)
        // Nothing names the place where the logs were.
        let bundle = try first.open(first.scratch.file("one.ttbug"))
        for member in bundle.manifest.members {
            let text = String(decoding: try Files.contents("\(bundle.directory)/\(member.name)"), as: UTF8.self)
            #expect(!text.contains(first.scratch.path), "\(member.name)")
        }
    }

    @Test func contentsAreLeftOut() throws {
        let compared = try Compared()
        let path = try compared.write("bug.ttbug") { $0.isRedacted = true }
        let bundle = try compared.open(path)
        #expect(bundle.manifest.isRedacted)
        #expect(bundle.manifest.verdict == "control-flow")
        #expect(try bundle.verify() == [])
        #expect(bundle.manifest.missing.contains { $0.what.contains("contents of events") })
        for side in [Side.original, .replay] {
            let log = try LogFile(path: bundle.path(side))
            var events = log.events([.event, .access])
            var count = 0
            while let event = events.next() {
                #expect(event.payload.isEmpty && event.privatePayload.isEmpty && event.aux == 0)
                count += 1
            }
            #expect(count == 2)
        }
        for member in bundle.manifest.members where member.name != "\(bundle.manifest.original.directory)/ttd.log" {
            let text = String(decoding: try Files.contents("\(bundle.directory)/\(member.name)"), as: UTF8.self)
            #expect(!text.contains("5ec7e7"), "\(member.name)")
        }
    }

    // MARK: - The page, the zoom

    /// The page in a bundle is the one that a report in a file of its own has, but for paths.
    @Test func thePageIsTheWholeReport() throws {
        let compared = try Compared()
        let bundle = try compared.open(try compared.write("bug.ttbug"))
        var document = DivergenceDocument(
            compared.alignment, original: compared.runs[0], replay: compared.runs[1],
            content: DocumentContent(hasDetails: true))
        #expect(document.strip != nil && document.vcpus[0].divergence?.window != nil)
        (document.original.path, document.replay.path) = ("original", "replay")
        for index in document.commands.indices {
            document.commands[index].path = document.commands[index].side.rawValue
        }
        #expect(try bundle.document() == document)
        let page = String(decoding: try Files.contents("\(bundle.directory)/report.html"), as: UTF8.self)
        #expect(try page == HTMLReport(document).text())
    }

    /// A zoom that read a different value.
    static let zoom = {
        var zoom = ZoomResult()
        zoom.outcome = .explained
        zoom.origin = .input
        zoom.originText = "a port gave another value"
        zoom.steps = [ZoomResult.Step(text: "both sides ran", seconds: 1.25)]
        zoom.chain = [
            ZoomResult.Link(
                role: .input, index: 3, icount: 7, ip: 0x9004, instruction: "in (%dx), %al", register: "rax",
                memory: nil, original: 0x5ec7e7, replay: 0x5ec7e8)
        ]
        return zoom
    }()

    @Test func aZoomIsInTheReports() throws {
        let compared = try Compared()
        let path = try compared.write("bug.ttbug", zoom: BundleTests.zoom)
        let bundle = try compared.open(path)
        #expect(bundle.manifest.zoom == "a port gave another value")
        let zoom = try #require(try bundle.document().zoom)
        #expect(zoom.chain.first?.replay?.description == "0x5ec7e8")
        // The time that it took is another one each time.
        #expect(zoom.seconds == nil && zoom.steps.count == 1 && zoom.steps[0].seconds == nil)
        var slower = BundleTests.zoom
        slower.steps[0].seconds = 2.5
        #expect(
            try Files.contents(path) == Files.contents(try compared.write("again.ttbug", zoom: slower)))
        for name in ["report.txt", "report.html"] {
            let text = String(decoding: try Files.contents("\(bundle.directory)/\(name)"), as: UTF8.self)
            #expect(text.contains("a port gave another value") && text.contains("0x5ec7e8"), "\(name)")
        }
        #expect(try bundle.verify() == [])
    }

    /// A zoom shows what the guest read.
    @Test func aZoomIsLeftOutWithTheContents() throws {
        let compared = try Compared()
        let path = try compared.write("bug.ttbug", zoom: BundleTests.zoom) { $0.isRedacted = true }
        let bundle = try compared.open(path)
        #expect(bundle.manifest.zoom == nil)
        #expect(try bundle.document().zoom == nil)
        #expect(bundle.manifest.missing.contains { $0.what.contains("running both sides again") })
    }

    @Test func aChangedReportIsFound() throws {
        let compared = try Compared()
        let bundle = try compared.open(try compared.write("bug.ttbug"))
        // The unpacked copy is changed under the eyes of the reader.
        let path = "\(bundle.directory)/report.json"
        let text = String(decoding: try Files.contents(path), as: UTF8.self)
        try Files.replace(path, with: Array(text.replacing("\"control-flow\"", with: "\"missing-event\"").utf8))
        #expect(try bundle.verify().map(\.what).contains("verdict"))
        // Opening checks the digests again, and unpacks anew.
        let again = try compared.open(compared.scratch.file("bug.ttbug"))
        #expect(try again.verify() == [])
    }

    @Test func aWindowIsASlice() throws {
        let compared = try Compared()
        let bundle = try compared.open(try compared.write("bug.ttbug") { $0.radius = 1 })
        #expect(bundle.manifest.original.from == "2" && bundle.manifest.original.to == "4")
        #expect(!bundle.manifest.original.isWhole)
        #expect(bundle.manifest.missing.contains { $0.what.contains("outside 2 to 4") })
        #expect(try bundle.verify() == [])
        let log = try LogFile(path: bundle.path(.original))
        var branches = log.branches()
        #expect(branches.next()?.clock == 2)
    }

    @Test func runsThatAreTheSame() throws {
        let compared = try Compared(BundleTests.original, BundleTests.original)
        let bundle = try compared.open(try compared.write("same.ttbug"))
        #expect(bundle.manifest.verdict == "identical")
        #expect(try bundle.verify() == [])
    }

    /// tar and zstd unpack a bundle to the same files.
    @Test func otherToolsUnpackIt() throws {
        let compared = try Compared()
        let path = try compared.write("bug.ttbug")
        let bundle = try compared.open(path)
        let target = compared.scratch.file("by-tar")
        #expect(mkdir(target, 0o700) == 0)
        var child: pid_t = 0
        let words = ["tar", "--zstd", "-xf", path, "-C", target]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        #expect(posix_spawnp(&child, "tar", nil, nil, arguments, environ) == 0)
        var status: Int32 = -1
        #expect(waitpid(child, &status, 0) == child && status == 0)
        for member in bundle.manifest.members {
            #expect(
                try Files.contents("\(target)/\(member.name)") == Files.contents("\(bundle.directory)/\(member.name)"))
        }
        #expect(
            try Files.contents("\(target)/bundle.json") == Files.contents("\(bundle.directory)/bundle.json"))
    }

    @Test func manifestsLoseTheirDirectories() throws {
        var manifest = Manifest(
            kind: .recording, recordingUUID: "0", created: "2026-01-01T00:00:00Z", tool: "t",
            engine: EngineRecord(
                name: "qemu", version: "7.2",
                details: .object([
                    "argv": .array([
                        .string("-kernel"), .string("/home/alice/k/vmlinux,x=/srv/run/snap"),
                        .string("/opt/lib/ttd.so,mode=branches"),
                    ]),
                    "program": .string("/usr/bin/qemu"),
                    "plugin": .object(["file": .object(["path": .string("/opt/lib/ttd.so")])]),
                ])),
            files: [
                GuestFile(role: "kernel", identity: FileIdentity(path: "/home/alice/k/vmlinux", size: 1, sha256: "00"))
            ], forced: [ManifestDifference(what: "kernel", recorded: "/home/alice/k/vmlinux", now: "/srv/run/other")])
        manifest = manifest.neutral(without: HostPaths([manifest], and: ["/srv/run", "/home/alice"]))
        #expect(manifest.files[0].identity.path == "vmlinux")
        let details = manifest.engine.details
        #expect(manifest.forced?.map { [$0.recorded, $0.now] } == [["vmlinux", "other"]])
        #expect(details["argv"]?.array?.compactMap(\.string) == ["-kernel", "vmlinux,x=snap", "ttd.so,mode=branches"])
        #expect(
            details["program"]?.string == "/usr/bin/qemu" && details["plugin"]?["file"]?["path"]?.string == "ttd.so")
    }
}
