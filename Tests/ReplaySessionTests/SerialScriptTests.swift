// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

@Suite struct SerialScriptTests {
    @Test func steps() throws {
        let scratch = try temporaryDirectory()
        let path = try scratch.write("s", "# comment\n\n  expect \"login: \"\r\nsend \"a\\n\\x41\\\"\\\\\"\nwait 0.5\n")
        #expect(
            try SerialScript(path: path).steps == [
                .expect(Array("login: ".utf8)), .send(Array("a\nA\"\\".utf8)), .wait(0.5),
            ])
    }

    @Test(arguments: [
        "expect", "expect \"\"", "send x", "send \"x", "send \"x\" y", "wait", "wait nan", "wait -1", "jump",
        "send \"\\xZ1\"",
    ])
    func mistakesNameTheirLine(line: String) throws {
        let scratch = try temporaryDirectory()
        let path = try scratch.write("s", "wait 1\n\(line)\n")
        let error = #expect(throws: RunError.self) { try SerialScript(path: path) }
        #expect(error.map { "\($0)" }?.contains("line 2") == true)
    }
}
