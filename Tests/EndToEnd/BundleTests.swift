// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// A bundle of a real divergence, opened where neither the logs nor the kernel are.
extension EndToEndTests {
    @Test func bundlesShowWhatTheRunsShow() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        #expect(try record(into: directory).status == 0)
        #expect(try replay(directory, ["--memory", "96M", "--force", "--name", "memory"]).status == 1)
        let other = "\(directory)/replays/memory"
        let kernel = Products.guest("tiny")
        let tool = Products.tool("tt-analyze")
        let bundle = scratch.file("bug.ttbug")
        let written = try run(
            tool,
            ["report", "--symbols", kernel, "--window", "20000", directory, other, "-o", bundle, "--with-recording"])
        #expect(written.status == 1, "\(written)")
        #expect(written.err.contains("The logs hold what the guest read"), "\(written)")

        // The whole run, for comparison, and then without it.
        let whole = try run(tool, ["diverge", "--symbols", kernel, directory, other])
        let around = ["--instructions", "--symbols", kernel, "--range", "0:400"]
        let instructions = try run(Products.tool("bts-dump"), around + [directory])
        try #require(rename(directory, scratch.file("away")) == 0)
        // An empty cache, as on another machine.
        func elsewhere(_ arguments: String...) throws -> ToolResult {
            try run("/usr/bin/env", ["XDG_CACHE_HOME=\(scratch.file("cache"))", tool] + arguments)
        }
        let opened = try elsewhere("open", bundle, "diverge")
        #expect(opened.status == 1)
        // Up to the next steps, which name paths, both say the same.
        func facts(_ text: String) -> [Substring] {
            Array(text.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.hasPrefix("call stack") })
        }
        #expect(!facts(whole.out).isEmpty && facts(opened.out) == facts(whole.out))
        let again = try elsewhere("open", bundle, "bts-dump", "--instructions", "--range", "0:400")
        #expect(again.out == instructions.out && !again.out.isEmpty, "\(again)")
        let verified = try elsewhere("open", "--verify", bundle)
        #expect(verified.status == 0, "\(verified)")
        let count = try elsewhere("open", bundle, "sql", "SELECT count(*) > 0 FROM orig.event")
        #expect(count.out.contains("1"), "\(count)")
    }
}
