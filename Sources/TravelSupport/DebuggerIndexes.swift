// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import Symbolize

/// Where gdb keeps the indexes that it makes of symbol files: `tt-analyze/gdb-index` in the user's cache.
///
/// gdb looks for the name of a type in all units of a file without an index: in a kernel that takes 20 s and 1.8 GB. gdb names an
/// index by the build ID, which the file itself claims: a file with the build ID of another would get that one's index. So each
/// set of files has a directory of its own, whose name is a digest of the files' paths, devices, inodes, sizes and times, and files
/// of one set that claim the same build ID have none. The directories that were used longest ago are removed.
enum DebuggerIndexes {
    /// Sets of files whose indexes are kept; a kernel's takes 37 MB.
    private static let mostSets = 8

    /// gdb's commands that keep and use the indexes of these files; none if they cannot be told apart or there is no cache.
    static func commands(for paths: [String], in base: String? = UserCache.directory("gdb-index")) -> [String] {
        guard let base, !base.contains("\n"), let name = key(of: paths) else { return [] }
        let directory = "\(base)/\(name)"
        utimensat(AT_FDCWD, directory, nil, 0)
        removeOldest(in: base, besides: name)
        return ["set index-cache directory \(directory)", "set index-cache enabled on"]
    }

    /// 32 hexadecimal digits, other ones if any of the files is replaced or changed. Nil if a file cannot be read, or if two
    /// claim the same build ID.
    private static func key(of paths: [String]) -> String? {
        var text = ""
        var identities: Set<BuildID> = []
        for path in Set(paths).sorted() {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            if let identity = try? BuildID(path: path), !identities.insert(identity).inserted { return nil }
            text += "\(path)\0\(status.st_dev) \(status.st_ino) \(status.st_size)"
            for time in [status.st_mtim, status.st_ctim] { text += " \(time.tv_sec).\(time.tv_nsec)" }
            text += "\0"
        }
        var digest = FileDigest()
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        return text.isEmpty ? nil : String(digest.finish().prefix(32))
    }

    private static func removeOldest(in base: String, besides own: String) {
        var others: [(path: String, age: Int)] = []
        for name in (try? Files.list(base)) ?? [] where name != own && name.count == own.count {
            var status = stat()
            guard lstat("\(base)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { continue }
            others.append(("\(base)/\(name)", status.st_mtim.tv_sec))
        }
        for other in others.sorted(by: { $0.age < $1.age }).prefix(max(0, others.count - (mostSets - 1))) {
            FileTree.remove(other.path)
        }
    }
}
