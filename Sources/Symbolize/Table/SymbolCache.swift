// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// Where symbol tables are kept between runs, and how much room they may take.
///
///     Symbolizer(cache: .standard)        // $XDG_CACHE_HOME/tt-analyze/symbols, or ~/.cache/tt-analyze/symbols
///     Symbolizer(cache: .off)
///
/// One file a table, named `BUILDID-KEY.ttsym`; ``SymbolTable`` describes its content. A file is written under another
/// name and then renamed, so that readers see all of it or nothing and writers do not disturb each other. What is
/// damaged, of another version or of another user is made anew. When the files take more than `sizeLimit` bytes, those
/// that were used longest ago are removed.
public struct SymbolCache: Hashable, Sendable {
    /// The directory; `nil` if nothing is kept.
    public var directory: String?
    /// How many bytes all tables may take.
    public var sizeLimit: UInt64

    /// Makes a cache.
    public init(directory: String?, sizeLimit: UInt64 = 1 << 30) {
        self.directory = directory
        self.sizeLimit = sizeLimit
    }

    /// Nothing is kept.
    public static let off = SymbolCache(directory: nil)

    /// The user's cache directory, by the XDG Base Directory Specification.
    public static var standard: SymbolCache {
        func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        if let path = environment("XDG_CACHE_HOME"), path.hasPrefix("/") {
            return SymbolCache(directory: "\(path)/tt-analyze/symbols")
        }
        if let home = environment("HOME"), home.hasPrefix("/") {
            return SymbolCache(directory: "\(home)/.cache/tt-analyze/symbols")
        }
        return .off
    }

    /// What a table was made from: 128 bits over the identities of all files that took part.
    struct Key: Hashable, Sendable {
        var first: UInt64
        var second: UInt64
        /// The beginning of the file's name: the build ID, `none` if there is none.
        var name: String

        init(first: UInt64, second: UInt64, name: String) {
            self.first = first
            self.second = second
            self.name = name
        }

        init(program: ELFImage, debugFile: ELFImage?, alternate: ELFImage?) {
            var bytes: [UInt8] = []
            func add(_ value: UInt64) {
                withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
            }
            add(UInt64(SymbolTable.version))
            name = hexadecimalText(program.buildID)
            for image in [program, debugFile, alternate] {
                guard let image else {
                    add(0)
                    continue
                }
                add(image.shape)
                bytes += image.buildID
                // A build ID and headers can be copied; a file that is another one has other numbers, or was changed.
                let identity = image.original.identity
                for word in [identity.device, identity.inode, identity.size, identity.modified, identity.changed] {
                    add(word)
                }
            }
            if name.isEmpty { name = "none" }
            first = ttlog_hash(bytes, bytes.count, 0)
            second = ttlog_hash(bytes, bytes.count, Key.otherSeed)
        }

        private static let otherSeed: UInt64 = 0x9e37_79b9_7f4a_7c15

        /// - Parameter part: Whether the table does not cover all addresses.
        func fileName(part: Bool) -> String {
            let digits = String(first, radix: 16)
            let stem = "\(name)-\(String(repeating: "0", count: 16 - digits.count))\(digits)"
            return "\(stem)\(part ? SymbolCache.partSuffix : "")\(SymbolCache.suffix)"
        }
    }

    private static let suffix = ".ttsym"
    private static let partSuffix = ".part"
    private static let temporarySuffix = ".tmp"

    // MARK: - Reading

    /// The table that was kept under this key; `nil` if there is none, or none that can be used.
    ///
    /// - Parameter part: Whether one that does not cover all addresses is asked for.
    func load(_ key: Key, part: Bool = false) -> SymbolTable? {
        guard let directory else { return nil }
        let descriptor = open(
            "\(directory)/\(key.fileName(part: part))", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let mapping = TableMapping(descriptor) else { return nil }
        guard let table = SymbolTable(mapping.bytes, key: key, owner: mapping), table.isWhole != part else {
            return nil
        }
        // Its age is the time of its last use.
        futimens(descriptor, nil)
        return table
    }

    // MARK: - Writing

    /// Keeps a table; an `errno` when that is not possible. A whole one takes the place of a part.
    func store(_ table: SymbolTable, _ key: Key, part: Bool = false) -> Int32? {
        guard let directory else { return nil }
        if let code = SymbolCache.makeDirectories(directory) { return code }
        let (header, sections) = table.header(key: key)
        let name = key.fileName(part: part)
        let path = "\(directory)/\(name)"
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))\(SymbolCache.temporarySuffix)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return errno }
        var code = header.withUnsafeBytes { SymbolCache.write($0, to: descriptor, at: 0) }
        for (offset, bytes) in sections where code == nil {
            code = SymbolCache.write(bytes, to: descriptor, at: offset)
        }
        if code == nil, let last = sections.last {
            let size = (last.offset + last.bytes.count + 63) & ~63
            if ftruncate(descriptor, off_t(size)) != 0 { code = errno }
        }
        if close(descriptor) != 0 && code == nil { code = errno }
        if code == nil, rename(temporary, path) != 0 { code = errno }
        if let code {
            unlink(temporary)
            return code
        }
        if !part { unlink("\(directory)/\(key.fileName(part: true))") }
        evict(keeping: name)
        return nil
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int) -> Int32? {
        var written = 0
        while written < bytes.count, let start = bytes.baseAddress {
            let count = pwrite(descriptor, start + written, bytes.count - written, off_t(offset + written))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            written += count
        }
        return nil
    }

    /// Makes a directory and those above it.
    private static func makeDirectories(_ path: String) -> Int32? {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return nil }
        guard errno == ENOENT, path != directoryName(path) else { return errno }
        if let code = makeDirectories(directoryName(path)) { return code }
        return mkdir(path, 0o700) == 0 || errno == EEXIST ? nil : errno
    }

    // MARK: - Room

    private struct Kept {
        var name: String
        var size: UInt64
        var used: timespec
    }

    /// Removes tables until the rest fits, those used longest ago first, and what killed writers left.
    private func evict(keeping newest: String) {
        guard let directory, let handle = opendir(directory) else { return }
        defer { closedir(handle) }
        var kept: [Kept] = []
        var total: UInt64 = 0
        let now = time(nil)
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let isTemporary = name.hasSuffix(SymbolCache.temporarySuffix) && name.contains(SymbolCache.suffix)
            guard isTemporary || name.hasSuffix(SymbolCache.suffix) else { continue }
            var status = stat()
            guard lstat("\(directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if isTemporary {
                if now - status.st_mtim.tv_sec > 3600 { unlink("\(directory)/\(name)") }
                continue
            }
            kept.append(Kept(name: name, size: UInt64(max(status.st_size, 0)), used: status.st_mtim))
            total &+= UInt64(max(status.st_size, 0))
        }
        kept.sort { ($0.used.tv_sec, $0.used.tv_nsec, $0.name) < ($1.used.tv_sec, $1.used.tv_nsec, $1.name) }
        for file in kept where total > sizeLimit && file.name != newest {
            if unlink("\(directory)/\(file.name)") == 0 { total &-= file.size }
        }
    }
}

/// A cache file, mapped.
private final class TableMapping {
    let bytes: Bytes

    /// `nil` if it is not a regular file of this user.
    init?(_ descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_size >= SymbolTable.headerSize, status.st_size <= off_t(UInt32.max),
            // A sparse file is none of ours.
            status.st_blocks >= status.st_size / 512 / 4
        else { return nil }
        let size = Int(status.st_size)
        // All of it is about to be read for its checksums.
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE | Int32(MAP_POPULATE), descriptor, 0)
        guard let address, address != MAP_FAILED else { return nil }
        bytes = Bytes(start: UnsafeRawPointer(address), count: size)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.start), bytes.count) }
}
