// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

/// How a run of a tool ended.
struct ToolResult {
    /// The exit status; nil when a signal ended it.
    var status: Int32?
    var signal: Int32?
    var output: String
    var errors: String
}

/// One of the tools, as the build made it.
struct Tool {
    static let analyze = Tool("tt-analyze")
    static let dump = Tool("bts-dump")

    let path: String

    init(_ name: String) {
        path =
            URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent(name).path
    }

    /// Runs the tool to its end, or for `timeout` seconds: then it is killed, and the result has signal 9.
    func run(_ arguments: [String], timeout: Double = 60) throws -> ToolResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        // What the tools read of it is the same on every machine; a CI sets NO_COLOR, a user a pager.
        for name in ["NO_COLOR", "PAGER"] {
            environment.removeValue(forKey: name)
        }
        environment["COLUMNS"] = "100"
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        // Files, not pipes: a tool that writes much to both never waits for us.
        let outputs = try ["out", "err"].map { _ in try ScratchFile() }
        process.standardOutput = outputs[0].handle
        process.standardError = outputs[1].handle
        try process.run()
        let deadline = Date(timeIntervalSinceNow: timeout)
        while process.isRunning && Date() < deadline { usleep(2000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let ended = process.terminationReason == .exit
        return ToolResult(
            status: ended ? process.terminationStatus : nil, signal: ended ? nil : process.terminationStatus,
            output: try outputs[0].text(), errors: try outputs[1].text())
    }

    /// Runs the tool; it must end with this status.
    @discardableResult
    func run(
        _ arguments: String..., expecting status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ToolResult {
        let result = try run(arguments)
        #expect(result.status == status, "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
        return result
    }
}

/// A file that goes away with its owner.
private final class ScratchFile {
    let handle: FileHandle
    private let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("tooltests-\(UUID().uuidString)")
        try Data().write(to: url)
        handle = try FileHandle(forWritingTo: url)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func text() throws -> String {
        try handle.close()
        return String(decoding: try Data(contentsOf: url), as: UTF8.self)
    }
}
