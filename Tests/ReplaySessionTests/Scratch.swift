// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A directory of the test's own, removed with everything in it at the end.
final class Scratch {
    let path: String

    init() {
        var template = Array("/tmp/replay-session.XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/replay-session.failed"
    }

    deinit { Scratch.remove(path) }

    func file(_ name: String, _ contents: String = "") -> String {
        let path = "\(self.path)/\(name)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
        var contents = contents
        contents.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        return path
    }

    private static func remove(_ path: String) {
        guard let directory = opendir(path) else {
            unlink(path)
            return
        }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { remove("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }
}
