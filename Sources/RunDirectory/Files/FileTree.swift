// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Trees of files that this process made.
package enum FileTree {
    /// Removes a directory and all in it. Links are removed, not followed.
    package static func remove(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor >= 0 {
            empty(descriptor, depth: 0)
            close(descriptor)
        }
        rmdir(path)
    }

    private static let depthLimit = 16

    private static func empty(_ directory: Int32, depth: Int) {
        guard depth < depthLimit, let stream = fdopendir(dup(directory)) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            var name = withUnsafeBytes(of: &entry.pointee.d_name) {
                Array($0.prefix { $0 != 0 }).map { CChar(bitPattern: $0) }
            }
            name.append(0)
            if name == [46, 0] || name == [46, 46, 0] || unlinkat(directory, name, 0) == 0 { continue }
            let child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard child >= 0 else { continue }
            empty(child, depth: depth + 1)
            close(child)
            unlinkat(directory, name, AT_REMOVEDIR)
        }
    }
}
