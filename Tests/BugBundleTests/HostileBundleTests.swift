// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

@testable import BugBundle

/// Bundles from a stranger: each is refused by name, and nothing is left of it.
@Suite("Hostile bundles")
struct HostileBundleTests {
    /// Opens a bundle, which must be refused; returns why.
    private func refusal(_ bytes: [UInt8], limits: BundleLimits = BundleLimits()) throws -> BundleError {
        let scratch = try temporaryDirectory()
        let path = try scratch.write(bytes)
        var cache = BundleCache(directory: scratch.file("cache"))
        cache.limits = limits
        let error = try #require(throws: BundleError.self) { try cache.open(path) }
        #expect(scratch.tree().filter { $0 != "cache" } == ["test.ttbug"], "\(error)")
        #expect(error.file == path)
        return error
    }

    private func refusal(_ bundle: RawBundle, limits: BundleLimits = BundleLimits()) throws -> BundleError {
        try refusal(RawBundle.compressed(bundle.archive()), limits: limits)
    }

    /// Where the second member's header is in the archive of ``RawBundle/init(_:)``.
    private func secondOffset(_ bundle: RawBundle) throws -> UInt64 {
        UInt64(512 + (try bundle.manifest.json().count + 511) / 512 * 512 + 1024)
    }

    @Test func theRightOneIsAccepted() throws {
        let scratch = try temporaryDirectory()
        let path = try scratch.write(RawBundle.compressed(RawBundle().archive()))
        let opened = try BundleCache(directory: scratch.file("cache")).open(path)
        let digest = RawBundle.digest(RawBundle.compressed(try RawBundle().archive()))
        #expect(opened.directory == scratch.file("cache/\(digest)"))
        #expect(
            scratch.tree("cache/\(digest)") == ["a.txt", "bundle.json", "d", "d/b.txt"].map { "cache/\(digest)/\($0)" })
    }

    @Test(arguments: ["/etc/passwd", "../escape", "d/../../escape", "a//b", "./a", ".hidden", "a\u{7f}b", "", "d/"])
    func namesThatLeadAway(_ name: String) throws {
        // In the manifest and in the archive.
        var both = RawBundle()
        both.manifest.members[1].name = name
        both.rename(1, name)
        let error = try refusal(both)
        #expect(error.kind == .badName)
        #expect(error.member == name)
        // In the archive alone.
        var archive = RawBundle()
        archive.rename(1, name)
        let other = try refusal(archive)
        #expect(other.kind == .badName)
        #expect(other.member == name)
        #expect(other.offset == (try secondOffset(archive)))
    }

    @Test(arguments: [
        ("1", "a hard link"), ("2", "a symbolic link"), ("3", "a character device"), ("4", "a block device"),
        ("5", "a directory"), ("6", "a FIFO"), ("x", "an entry of type 120"), ("L", "an entry of type 76"),
        ("S", "an entry of type 83"),
    ])
    func entriesThatAreNoFiles(_ type: String, _ what: String) throws {
        var bundle = RawBundle()
        bundle.change(1) { header in
            header[156] = type.utf8.first ?? 0
            header.replaceSubrange(157..<168, with: "/etc/passwd".utf8)
        }
        let error = try refusal(bundle)
        #expect(error.kind == .notAFile(what: what))
        #expect(error.member == "d/b.txt")
        #expect(error.offset == (try secondOffset(bundle)))
        #expect(error.description.hasSuffix("is \(what); a bundle has regular files only"))
    }

    @Test func duplicateNames() throws {
        let error = try refusal(RawBundle([("same", [1]), ("same", [2])]))
        #expect(error.kind == .duplicateName)
        #expect(error.member == "same")
        let manifest = try refusal(RawBundle([("bundle.json", [1])]))
        #expect(manifest.kind == .duplicateName)
        let directory = try refusal(RawBundle([("a", [1]), ("a/b", [2])]))
        #expect(directory.kind == .nameIsDirectory)
        #expect(directory.member == "a")
    }

    @Test func headersThatTheManifestDoesNotDetermine() throws {
        // Another size, an owner, a time, a prefix, a mode with the set-user-ID bit.
        for (offset, text) in [
            (124, "00000000777"), (108, "0000144"), (136, "14000000000"), (345, "x"), (100, "0104755"),
        ] {
            var bundle = RawBundle()
            bundle.change(1) { $0.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8) }
            let error = try refusal(bundle)
            if offset == 345 {
                #expect(error.kind == .otherMember(expected: "d/b.txt"))
            } else {
                #expect(error.kind == .badHeader, "\(offset)")
                #expect(error.member == "d/b.txt")
            }
        }
        var wrongSum = RawBundle()
        wrongSum.entries[1].header[150] ^= 1
        #expect(try refusal(wrongSum).kind == .badHeader)
        var swapped = RawBundle()
        swapped.entries.swapAt(0, 1)
        #expect(try refusal(swapped).kind == .otherMember(expected: "a.txt"))
        var more = RawBundle()
        more.entries.append(RawBundle.Entry(header: TarEntry.header(name: "extra", size: 0), content: []))
        let error = try refusal(more)
        #expect(error.kind == .otherMember(expected: "no more members"))
        #expect(error.member == "extra")
    }

    @Test func wrongDigests() throws {
        var bundle = RawBundle()
        bundle.entries[1].content = [UInt8(ascii: "c")]
        let error = try refusal(bundle)
        guard case .wrongDigest(let expected, let found) = error.kind else {
            Issue.record("\(error)")
            return
        }
        #expect(expected == RawBundle.digest([UInt8(ascii: "b")]) && found == RawBundle.digest([UInt8(ascii: "c")]))
        #expect(error.member == "d/b.txt")
        #expect(error.offset == (try secondOffset(bundle)))
    }

    @Test func truncatedFiles() throws {
        let archive = try RawBundle().archive()
        let whole = RawBundle.compressed(archive)
        for count in stride(from: 4, to: whole.count, by: 3) {
            let kind = try refusal(Array(whole.prefix(count))).kind
            if case .damagedCompression = kind { continue }
            #expect(kind == .truncated, "\(count)")
        }
        // A right frame around an archive that is cut.
        for count in [0, 1, 511, 512, 600, archive.count - 1025, archive.count - 1024, archive.count - 1] {
            let error = try refusal(RawBundle.compressed(Array(archive.prefix(count))))
            #expect(error.kind == .truncated, "\(count)")
        }
    }

    @Test func dataAfterTheEnd() throws {
        let archive = try RawBundle().archive()
        #expect(try refusal(RawBundle.compressed(archive) + [0]).kind == .trailingData)
        #expect(try refusal(RawBundle.compressed(archive) + RawBundle.compressed(archive)).kind == .trailingData)
        #expect(try refusal(RawBundle.compressed(archive + [0])).kind == .trailingData)
        var padded = RawBundle()
        padded.entries[0].content = Array("hello".utf8) + [UInt8](repeating: 1, count: 507)
        #expect(try refusal(padded).kind == .badHeader)
    }

    @Test func otherFiles() throws {
        #expect(try refusal([]).kind == .notABundle(firstBytes: []))
        #expect(try refusal(Array("PK\u{3}\u{4}".utf8)).kind == .notABundle(firstBytes: [0x50, 0x4b, 3, 4]))
        #expect(try refusal(RawBundle.compressed(Array("not an archive".utf8))).kind == .truncated)
        let scratch = try temporaryDirectory()
        #expect(throws: (any Error).self) { try BundleReader(path: scratch.path) }
        #expect(mkfifo(scratch.file("fifo"), 0o600) == 0)
        #expect(throws: BundleError.self) { try BundleReader(path: scratch.file("fifo")) }
        #expect(throws: BundleError.self) { try BundleReader(path: scratch.file("missing")) }
    }

    @Test func bombs() throws {
        // Announced by the manifest: refused before anything is unpacked.
        var limits = BundleLimits()
        limits.smallBytes = 1 << 10
        limits.ratio = 4
        let error = try refusal(RawBundle([("zeros", [UInt8](repeating: 0, count: 1 << 20))]), limits: limits)
        guard case .limit(_, let found, let limit) = error.kind else {
            Issue.record("\(error)")
            return
        }
        #expect(found == 1 << 20 && limit < 1 << 13)
        // Not announced: the archive goes on after what the manifest lists.
        var silent = RawBundle([("zeros", [0])])
        silent.entries[0].content = [UInt8](repeating: 0, count: 1 << 20)
        #expect(try refusal(silent, limits: limits).kind == .trailingData)
        limits = BundleLimits()
        limits.bytes = 5
        #expect(
            try refusal(RawBundle(), limits: limits).kind == .limit(what: "bytes of all members", found: 6, limit: 5))
        limits = BundleLimits()
        limits.members = 1
        #expect(try refusal(RawBundle(), limits: limits).kind == .limit(what: "members", found: 2, limit: 1))
        // A window that needs more memory than any of ours.
        let wide: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0, 0, 0]
        guard case .damagedCompression = try refusal(wide).kind else {
            Issue.record("a window of 1 GiB was accepted")
            return
        }
    }

    @Test func manifests() throws {
        func refused(_ text: String) throws -> BundleError.Kind {
            try refusal(RawBundle.compressed(RawBundle().archive(manifest: Array(text.utf8)))).kind
        }
        #expect(
            try refused("[]") == .manifest("it is no JSON document")
                || refused("[]") == .manifest(" is of another type"))
        #expect(try refused("{") == .manifest("it is no JSON document"))
        #expect(try refused(String(repeating: "[", count: 100_000)) == .manifest("it is no JSON document"))
        let text = String(decoding: try RawBundle().manifest.json(), as: UTF8.self)
        #expect(try refused(text.replacing("\"version\" : 1", with: "\"version\" : 2")).isManifest("version is 2"))
        #expect(try refused(text.replacing("tt-analyze bundle", with: "other")).isManifest("schema"))
        #expect(
            try refused(text.replacing("\"size\" : \"5\"", with: "\"size\" : \"99999999999999999999\"")).isManifest(
                "size"))
        #expect(try refused(text.replacing("\"size\" : \"5\"", with: "\"size\" : \"-1\"")).isManifest("size"))
        var limits = BundleLimits()
        limits.manifest = 100
        let error = try refusal(RawBundle(), limits: limits)
        guard case .limit("bytes of the manifest", _, 100) = error.kind else {
            Issue.record("\(error)")
            return
        }
        for change: (inout BundleManifest) -> Void in [
            { $0.original.symbols = [.init(member: "none", slide: 0, range: 0..<1)] },
            { $0.sources = [.init(member: "none", path: "a.c")] },
            { $0.original.directory = "../.." },
            { manifest in
                manifest.replay.symbols = [.init(member: "a.txt", slide: 0, range: 0..<1)]
                manifest.replay.symbols[0].from = "0x1"
            },
        ] {
            var bundle = RawBundle()
            change(&bundle.manifest)
            #expect(try refusal(bundle).kind.isManifest(""))
        }
    }

    /// Thousands of bundles with changed bytes, compressed and not: each is refused or right, and nothing traps.
    @Test func mutated() throws {
        let scratch = try temporaryDirectory()
        let right = try RawBundle().archive()
        let file = RawBundle.compressed(right)
        var random = RandomNumbers(seed: 1)
        var accepted = 0
        for round in 0..<2000 {
            var bytes = round % 2 == 0 ? right : file
            for _ in 0...random.below(3) {
                let place = Int(random.below(UInt64(bytes.count)))
                switch random.below(4) {
                case 0: bytes[place] ^= 1 << UInt8(random.below(8))
                case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int(random.below(64))))
                default:
                    bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + Int(random.below(64)))], at: place)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            let isSame = bytes == right || bytes == file
            let path = try scratch.write(round % 2 == 0 ? RawBundle.compressed(bytes) : bytes)
            do {
                try BundleReader(path: path).check()
                accepted += 1
                // Only texts of the manifest that nothing depends on can differ.
                if !isSame, round % 2 == 0 {
                    #expect(bytes.count == right.count)
                    #expect(bytes.dropFirst(2560) == right.dropFirst(2560) || bytes.count == right.count)
                }
            } catch is BundleError {
                continue
            }
        }
        #expect(accepted < 500, "\(accepted)")
    }
}

extension BundleError.Kind {
    fileprivate func isManifest(_ part: String) -> Bool {
        if case .manifest(let text) = self { return part.isEmpty || text.contains(part) }
        return false
    }
}
