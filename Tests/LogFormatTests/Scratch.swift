// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat

/// A directory of its own for one test, removed at its end.
final class Scratch {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "/logformat-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String) -> String { path + "/" + name }
}

func readBytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

func writeBytes(_ bytes: [UInt8], _ path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

extension SampleLog {
    /// The log's bytes.
    func image() throws -> LogImage {
        let scratch = Scratch()
        try write(to: scratch.file("log"))
        return LogImage(bytes: try readBytes(scratch.file("log")))
    }
}
