// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import Testing

@testable import DebugAdapter

/// What requests and launch arguments are read from.
@Suite struct RequestTests {
    private func request(_ text: String) throws(RequestError) -> Request? { try Request(Array(text.utf8)) }

    @Test func aRequestIsRead() throws {
        let found = try #require(
            try request(
                #"{"seq":7,"type":"request","command":"readMemory","arguments":{"memoryReference":"0x10","offset":-16,"count":-3}}"#
            ))
        #expect(found.number == 7 && found.command == "readMemory")
        #expect(try found.address() == 0)
        #expect(found.count("count") == 0 && found.count("missing") == 0)
        #expect(throws: RequestError.self) { try found.required("count") }
        // Answers to the adapter's requests, which it does not make.
        #expect(try request(#"{"type":"response"}"#) == nil)
    }

    @Test(arguments: [
        "", "{", "[]", "7", #"{"seq":1}"#, #"{"seq":1,"type":"request"}"#, #"{"type":"request","command":"next"}"#,
        #"{"seq":"1","type":"request","command":"next"}"#, "\u{0}", String(repeating: "[", count: 100_000),
    ])
    func whatIsNoRequestIsAnError(text: String) {
        #expect(throws: RequestError.self) { try request(text) }
    }

    private func launch(_ text: String) throws -> LaunchArguments {
        let body = #"{"seq":1,"type":"request","command":"launch","arguments":\#(text)}"#
        return try LaunchArguments(try #require(try request(body)).arguments)
    }

    @Test func launchArgumentsAreRead() throws {
        let found = try launch(
            #"{"run":"r","place":17,"symbols":"a","user":["b","c"],"trust":true,"stopOnEntry":false,"__id":{},"#
                + #""sourceMap":{"/a":"/x","/a/b":"/y"}}"#)
        #expect(found.run == "r" && found.place == "17" && found.gdb == "gdb")
        #expect(found.symbols == ["a"] && found.programs == ["b", "c"] && found.modules == nil)
        #expect(found.isTrusted && !found.stopsOnEntry)
        // The longest directory first: gdb takes the first that fits.
        #expect(found.sourceMap.map(\.from) == ["/a/b", "/a"])
    }

    @Test(arguments: [
        "{}", #"{"run":""}"#, #"{"run":["r"]}"#, #"{"run":"r","symbols":[1]}"#, #"{"run":"r","trust":"yes"}"#,
        #"{"run":"r","sourceMap":[]}"#, #"{"run":"r","sourceMap":{"/a":1}}"#,
    ])
    func launchArgumentsOfAnotherTypeAreErrors(text: String) {
        #expect(throws: RequestError.self) { try launch(text) }
    }
}

/// gdb's machine interface.
@Suite struct DebuggerRecordTests {
    @Test func recordsAreToldApart() {
        #expect(
            DebuggerRecord("12^done,answer=\"e30=\"") == .result(number: 12, class: "done", rest: ",answer=\"e30=\""))
        #expect(DebuggerRecord("3^running") == .result(number: 3, class: "running", rest: ""))
        #expect(DebuggerRecord("^done") == .result(number: nil, class: "done", rest: ""))
        #expect(DebuggerRecord("*stopped,reason=\"breakpoint-hit\"") == .stopped)
        #expect(DebuggerRecord("*running,thread-id=\"all\"") == .other)
        #expect(DebuggerRecord("~\"a\\n\"") == .console("a\n"))
        #expect(DebuggerRecord("@\"\\\"x\\\"\"") == .target("\"x\""))
        #expect(DebuggerRecord("&\"caf\\303\\251\\\\\"") == .log("café\\"))
        for line in ["", "(gdb) ", "=thread-created", "~", "~\"", "&\"\\", "@\"\\7", "99999999999999999999^done"] {
            _ = DebuggerRecord(line)
        }
    }

    @Test func valuesAreFound() {
        #expect(DebuggerRecord.value(of: "msg", in: ",msg=\"No \\\"x\\\".\",code=\"1\"") == "No \"x\".")
        #expect(DebuggerRecord.value(of: "code", in: ",msg=\"a\",code=\"1\"") == "1")
        #expect(DebuggerRecord.value(of: "other", in: ",msg=\"a\"") == nil)
    }
}
