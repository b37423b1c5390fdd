// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// The running program's own file.
package enum ExecutableFile {
    /// The directory that it is in.
    package static let directory: String = {
        guard let path = realpath("/proc/self/exe", nil) else { return "." }
        defer { free(path) }
        let text = String(cString: path)
        return text.lastIndex(of: "/").map { String(text[..<$0]) } ?? "."
    }()
}
