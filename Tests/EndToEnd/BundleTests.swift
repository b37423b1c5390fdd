// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import Reporting
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// A bundle of a real divergence, opened where neither the logs nor the kernel are.
extension EndToEndTests {
    @Test func bundlesShowWhatTheRunsShow() throws {
        let scratch = try temporaryDirectory()
        let (directory, bundle) = (scratch.file("run"), scratch.file("bug.ttbug"))
        #expect(try record(into: directory).status == 0)
        let turn = ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"]
        #expect(try replay(directory, turn).status == 1)
        let (kernel, other) = (Products.guest("tiny"), "\(directory)/replays/turn")
        let (analyze, dump) = (Products.tool("tt-analyze"), Products.tool("bts-dump"))
        let runs = ["--symbols", kernel, directory, other]
        let written = try run(analyze, ["report"] + runs + ["-o", bundle, "--window", "20000", "--with-recording"])
        #expect(written.status == 1, "\(written)")
        #expect(written.err.contains("The logs hold what the guest read"), "\(written)")

        // What the runs show, which then are somewhere else.
        let json = try run(analyze, ["diverge", "--format", "json"] + runs).out
        let whole = try #require(try DivergenceDocument(json: json).vcpus.first?.divergence)
        let around = ["--around", "\(whole.original.brctr):50"]
        let instructions = try run(dump, ["--instructions", "--symbols", kernel] + around + [directory]).out
        let branches = try run(dump, ["--symbols", kernel] + around + [other]).out
        try #require(rename(directory, scratch.file("away")) == 0)

        // An empty cache, as on another machine.
        func elsewhere(_ arguments: [String]) throws -> ToolResult {
            try run("/usr/bin/env", ["XDG_CACHE_HOME=\(scratch.file("cache"))", analyze, "open"] + arguments)
        }
        let opened = try elsewhere([bundle, "diverge", "--format", "json"])
        #expect(opened.status == 1, "\(opened)")
        let found = try #require(try DivergenceDocument(json: opened.out).vcpus.first?.divergence)
        #expect(found.original == whole.original && found.replay == whole.replay)
        #expect(found.fields == whole.fields && found.lastCommonBranches == whole.lastCommonBranches)
        #expect(found.originalNext.branches == whole.originalNext.branches)
        #expect(found.replayNext.branches == whole.replayNext.branches)
        #expect(found.causes.map(\.kind) == whole.causes.map(\.kind))
        // A column is as wide as the log's highest number.
        func words(_ text: String) -> [Substring] { text.split { $0 == " " || $0 == "\n" } }
        let again = try elsewhere([bundle, "bts-dump", "--instructions", "original"] + around).out
        #expect(words(again) == words(instructions))
        #expect(try words(elsewhere([bundle, "bts-dump", "replay"] + around).out) == words(branches))
        #expect(!instructions.isEmpty && !branches.isEmpty)
        let verified = try elsewhere(["--verify", bundle])
        #expect(verified.status == 0, "\(verified)")
        let rows = try elsewhere([bundle, "sql", "SELECT count(*) = \(found.lastCommonBranches.count) FROM divergence"])
        #expect(rows.status == 0, "\(rows)")
    }

    /// A change of data that no log shows: both sides run again when the bundle is written, not when it is opened.
    @Test func bundlesShowWhatAZoomHasFound() throws {
        let scratch = try temporaryDirectory()
        let (directory, bundle) = (scratch.file("run"), scratch.file("bug.ttbug"))
        #expect(try record(into: directory).status == 0)
        _ = try replay(directory, ["--kernel", Products.guest("tiny-data"), "--force", "--name", "data"])
        let zoom = ["--zoom", "--zoom-window", "65536", "--symbols", Products.guest("tiny")]
        let runs = [directory, "\(directory)/replays/data"]
        let analyze = Products.tool("tt-analyze")
        let written = try run(analyze, ["report"] + zoom + runs + ["-o", bundle, "--window", "20000"])
        #expect(written.status == 1, "\(written)")
        try #require(rename(directory, scratch.file("away")) == 0)
        func open(_ arguments: [String]) throws -> ToolResult {
            try run("/usr/bin/env", ["XDG_CACHE_HOME=\(scratch.file("cache"))", analyze, "open"] + arguments)
        }
        let listed = try open([bundle]).out.split(separator: "\n").map(String.init)
        #expect(listed.first?.hasPrefix("verdict: identical") == true, "\(listed)")
        #expect(listed.dropFirst().first?.hasPrefix("zoom: ") == true, "\(listed)")
        let path = try #require(listed.first { $0.hasPrefix("report.json: ") }).dropFirst("report.json: ".count)
        let report = String(decoding: try Files.contents(String(path)), as: UTF8.self)
        let found = try #require(try DivergenceDocument(json: report).zoom)
        #expect(found.outcome == .explained && !found.chain.isEmpty && found.seconds == nil)
        let verified = try open(["--verify", bundle])
        #expect(verified.status == 0 && verified.out.contains("not verified: the zoom"), "\(verified)")
    }

    /// A bundle with its recording replays where nothing else of it is.
    @Test func bundlesWithTheRecordingReplay() throws {
        let scratch = try temporaryDirectory()
        let (directory, bundle) = (scratch.file("run"), scratch.file("bug.ttbug"))
        #expect(try record(into: directory).status == 0)
        #expect(try replay(directory).status == 0)
        let report = ["report", directory, "\(directory)/replays/1", "-o", bundle, "--with-recording"]
        #expect(try run(Products.tool("tt-analyze"), report).status == 0)
        try #require(rename(directory, scratch.file("away")) == 0)
        let target = scratch.file("unpacked")
        try #require(mkdir(target, 0o700) == 0)
        try #require(try run("/usr/bin/tar", ["--zstd", "-xf", bundle, "-C", target]).status == 0)
        let again = try replay("\(target)/recording", ["--name", "again"])
        #expect(again.status == 0, "\(again)")
        let compared = try run(
            Products.tool("tt-analyze"), ["diverge", "\(target)/original", "\(target)/recording/replays/again"])
        #expect(compared.status == 0, "\(compared)")
    }
}
