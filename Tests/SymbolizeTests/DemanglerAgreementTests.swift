// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// Names of real libraries, beside c++filt and swift-demangle.
@Suite struct DemanglerAgreementTests {
    /// The defined symbols of a file, without versions.
    private func symbols(_ path: String, startingWith prefixes: [String]) throws -> [String] {
        let lines = try run(["nm", "-D", "--defined-only", "--without-symbol-versions", path]).split(separator: "\n")
        let names = lines.compactMap { $0.split(separator: " ").last.map(String.init) }
        return Array(Set(names.filter { name in prefixes.contains { name.hasPrefix($0) } })).sorted()
    }

    /// The first library that is installed.
    private func library(_ patterns: [String]) -> String? {
        for pattern in patterns {
            let text = try? run(["sh", "-c", "ls \(pattern) 2>/dev/null | head -n 1"])
            if let path = text?.split(separator: "\n").first { return String(path) }
        }
        return nil
    }

    private func compare(_ names: [String], with tool: [String]) throws {
        let theirs = try run(tool, input: names.joined(separator: "\n") + "\n")
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(theirs.count == names.count + 1)
        var differences: [String] = []
        for (name, expected) in zip(names, theirs) {
            let ours = Demangler.demangle(name)
            // Longer than the limit: left as it is.
            if ours == nil, expected.utf8.count > Demangler.lengthLimit { continue }
            if ours ?? name != expected { differences.append("\(name): \(ours ?? "-"), \(tool[0]) \(expected)") }
        }
        #expect(differences.count == 0, "of \(names.count) names: \(differences.prefix(5))")
    }

    @Test func namesOfTheCXXLibraryAreThoseOfCXXFilt() throws {
        let path = try #require(library(["/usr/lib/*/libstdc++.so.6", "/usr/lib/libstdc++.so.6"]))
        let names = try symbols(path, startingWith: ["_Z"])
        #expect(names.count > 3000)
        try compare(names, with: ["c++filt", "-i"])
    }

    @Test func namesOfSwiftLibrariesAreThoseOfSwiftDemangle() throws {
        let compiler = URL(fileURLWithPath: try run(["sh", "-c", "readlink -f \"$(command -v swiftc)\""]).trimmed)
        let root = compiler.deletingLastPathComponent().deletingLastPathComponent().path
        let path = try #require(library(["\(root)/lib/swift/linux/libswiftCore.so"]))
        let names = try symbols(path, startingWith: ["$s", "_$s"])
        #expect(names.count > 5000)
        // One in ten: a name takes swift-demangle as long as the rest of the test.
        try compare(
            names.enumerated().filter { $0.offset % 10 == 0 }.map(\.element),
            with: ["swift-demangle", "--compact", "--no-sugar"])
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
