// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Finds files in and below a directory. Links to directories are not followed.
enum DirectoryWalk {
    /// Files and directories that are looked at, at most.
    private static let limit = 1 << 20
    private static let depthLimit = 32

    /// Calls `take` with the name and the path of each entry, in no order; a directory that it does not take is searched.
    /// Returns false, with errno, if the directory cannot be read.
    static func visit(_ root: String, _ take: (_ name: String, _ path: String) -> Bool) -> Bool {
        var pending = [(path: root, depth: 0)]
        var seen = 0
        while let (path, depth) = pending.popLast() {
            guard let handle = opendir(path) else {
                if depth == 0 { return false }
                continue
            }
            defer { closedir(handle) }
            while let entry = readdir(handle), seen < limit {
                seen += 1
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                guard name != ".", name != ".." else { continue }
                let child = "\(path)/\(name)"
                if take(name, child) || depth == depthLimit { continue }
                var status = stat()
                if lstat(child, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { pending.append((child, depth + 1)) }
            }
        }
        return true
    }
}
