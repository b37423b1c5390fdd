// SPDX-License-Identifier: GPL-2.0-or-later

import CZstd
@preconcurrency import Glibc
import RunDirectory
import TestSupport

@testable import BugBundle

/// A bundle that a test puts together byte by byte.
struct RawBundle {
    /// A header and a content of the archive.
    struct Entry {
        var header: [UInt8]
        var content: [UInt8]
    }

    var manifest = BundleManifest()
    var entries: [Entry] = []
    var end = TarEntry.end

    /// A right bundle with these members.
    init(
        _ members: [(name: String, content: [UInt8])] = [("a.txt", Array("hello".utf8)), ("d/b.txt", Array("b".utf8))]
    ) {
        for (name, content) in members {
            manifest.members.append(
                BundleManifest.Member(name: name, size: UInt64(content.count), sha256: RawBundle.digest(content)))
            entries.append(Entry(header: TarEntry.header(name: name, size: UInt64(content.count)), content: content))
        }
    }

    static func digest(_ bytes: [UInt8]) -> String {
        var digest = FileDigest()
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    /// Changes a header and corrects its checksum.
    mutating func change(_ index: Int, _ body: (inout [UInt8]) -> Void) {
        body(&entries[index].header)
        let sum = entries[index].header.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
        let digits = String(sum, radix: 8)
        let text = String(repeating: "0", count: 6 - digits.count) + digits + "\0 "
        entries[index].header.replaceSubrange(148..<156, with: text.utf8)
    }

    /// Changes the name in a header.
    mutating func rename(_ index: Int, _ name: String) {
        change(index) { header in
            header.replaceSubrange(
                0..<100, with: Array(name.utf8) + [UInt8](repeating: 0, count: 100 - name.utf8.count))
        }
    }

    /// The archive, with the manifest of these members or with another text.
    func archive(manifest text: [UInt8]? = nil) throws -> [UInt8] {
        let text = try text ?? manifest.json()
        var bytes = TarEntry.header(name: BundleManifest.memberName, size: UInt64(text.count)) + text
        bytes += [UInt8](repeating: 0, count: TarEntry.padding(after: UInt64(text.count)))
        for entry in entries {
            bytes += entry.header + entry.content
            bytes += [UInt8](repeating: 0, count: TarEntry.padding(after: UInt64(entry.content.count)))
        }
        return bytes + end
    }

    static func compressed(_ archive: [UInt8]) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: ZSTD_compressBound(archive.count))
        let size = ZSTD_compress(&target, target.count, archive, archive.count, 3)
        return Array(target.prefix(size))
    }
}

extension TemporaryDirectory {
    /// Writes a file and returns its path.
    func write(_ bytes: [UInt8], to name: String = "test.ttbug") throws -> String {
        let path = file(name)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw BundleError(file: path, kind: .system(doing: "write", code: errno))
        }
        close(descriptor)
        return path
    }

    /// The paths of all files below, sorted; links are marked.
    func tree(_ below: String = "") -> [String] {
        guard let directory = opendir("\(path)/\(below)") else { return [] }
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let child = below.isEmpty ? name : "\(below)/\(name)"
            found.append(child)
            found += tree(child)
        }
        return found.sorted()
    }
}
