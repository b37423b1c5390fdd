// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting
import Glibc
import Synchronization

/// A trace log, opened for reading.
///
/// Opening a closed log reads its header and directories only. In a log that was not closed, the chunk headers are
/// searched in the whole file, and the records in `<log>.open` are recovered. Bodies are read on demand: memory grows
/// by about 200 bytes a chunk only. Damage is reported and skipped.
///
///     let log = try LogFile(path: "run")          // a run directory or a log
///     var branches = log.branches(from: 1_000_000, to: 1_000_010)
///     while let branch = branches.next() { print(branch.clock, branch.from, branch.to) }
///
/// All methods may be called from several threads at once; batches and cursors belong to one thread.
public final class LogFile: @unchecked Sendable {
    /// Whether the writer ended in order.
    public enum Completeness: Sendable, Hashable {
        /// The log ends with a directory and a trailer, and has no open file. (A writer adds directories and trailers
        /// also during the run; the open file goes at the close.)
        case closed
        /// Its writer is running: the log is read as it was when it was opened.
        case beingWritten
        /// Its writer died. Without the open file, records that were not sealed are lost.
        case unclosed(openFileFound: Bool)
    }

    /// The log's path, as it was resolved.
    public let path: String
    /// The format of the file at ``path``. If it is not ``InputFormat/log``, the log was imported from it.
    public let format: InputFormat
    /// The log's header; for an imported log, the fields that the import knows.
    public let header: FileHeader
    /// Bytes of the log when it was opened.
    public let fileSize: UInt64
    /// Whether the writer closed the log.
    public let completeness: Completeness
    /// The damage found while opening: damaged headers, unreadable parts, missing records.
    public let structuralDamage: [Damage]
    /// The number of records that the writer reports as not written.
    public let lostRecords: UInt64
    /// The errno that ended the logging of an unclosed log; 0 if there was none.
    public let writerError: Int32

    let file: InputFile
    let index: ChunkIndex
    /// Damaged parts of the file without any known content.
    private let unknownStretches: [Range<UInt64>]
    /// Raw bodies of the chunks that come from the open file.
    let slotBodies: [[UInt8]]
    let bytesTouched = Atomic<UInt64>(0)
    let metaCache = Mutex<MetaRecords?>(nil)

    /// Opens a log, or the log `ttd.log` in a run directory.
    public convenience init(path: String) throws(LogError) {
        try self.init(file: InputFile(path: LogFile.resolve(path: path)))
    }

    /// Opens a log that was imported from a file of another format, in which `damage` could not be read.
    convenience init(importedInto file: InputFile, from format: InputFormat, damage: [Damage]) throws(LogError) {
        try self.init(file: file, format: format, importDamage: damage)
    }

    init(file: InputFile, format: InputFormat = .log, importDamage: [Damage] = []) throws(LogError) {
        var damage = importDamage
        let isImported = format != .log
        let isLocked = file.isLocked
        let header = try LogFile.readHeader(file, damage: &damage)
        // The open file first: what is sealed between the two reads is then in both, not in neither.
        let openFile = isImported ? nil : LogFile.readOpenFile(of: file, header: header, damage: &damage)
        let size = file.size
        let found = try LogFile.findChunks(file, size: size, nonce: header.nonce, damage: &damage)
        var unexplained = found.unexplained
        // The chunk that a writer is just writing, or was when it was killed, is in its slot still.
        let isInSlot = openFile.map { LogFile.holdsLastChunk($0, torn: found.torn, damage: damage.last) } ?? false
        if isLocked || isInSlot {
            damage.removeAll { $0.offset > 0 && $0.length > 0 && $0.offset + $0.length == size }
            unexplained.removeAll { $0.upperBound == size }
        }
        damage += openFile?.damage ?? []
        index = ChunkIndex(found.chunks + (openFile?.chunks ?? []), file: file.path) { slot, sealed in
            sealed.isElided ? slot.digests == sealed.digests : !LogFile.isIntact(sealed, in: file)
        }
        damage += index.damage
        if isLocked {
            completeness = .beingWritten
        } else if found.isClosed, openFile == nil {
            completeness = .closed
        } else {
            completeness = .unclosed(openFileFound: openFile != nil)
            if openFile == nil {
                damage.append(Damage(file: file.path, offset: size, length: 0, what: .openFileMissing))
            }
        }
        unknownStretches = unexplained
        slotBodies = openFile?.bodies ?? []
        lostRecords = max(found.trailer?.lostRecords ?? 0, openFile?.lostRecords ?? 0)
        writerError = openFile?.error ?? 0
        structuralDamage = damage
        fileSize = size
        path = file.path
        self.format = format
        self.header = header
        self.file = file
    }

    /// The path of the log: the path itself or, for a run directory, its `ttd.log`.
    public static func resolve(path: String) -> String {
        guard isDirectory(path) else { return path }
        return path.hasSuffix("/") ? path + "ttd.log" : path + "/ttd.log"
    }

    /// Every chunk except the directories, sorted by (vcpu, stream, epoch, cell, part). Slots of the open file are
    /// included; of two copies of a chunk the complete one is kept.
    public var chunks: [Chunk] { index.chunks }

    /// The chunks of one stream and vCPU (``noVCPU`` for meta).
    public func chunks(_ stream: LogStream, vcpu: UInt16) -> ArraySlice<Chunk> {
        index.run(stream, vcpu: vcpu)
    }

    /// Whether a damaged stretch of the file may have held any records.
    var hasUnknownStretches: Bool { !unknownStretches.isEmpty }

    /// Whether records of a stream may be missing after its last known one: a damaged part of the file without known
    /// content follows its last chunk. Records missing between two chunks show in their ordinals.
    public func mayLackTail(_ stream: LogStream, vcpu: UInt16) -> Bool {
        guard let stretch = unknownStretches.last else { return false }
        let run = chunks(stream, vcpu: vcpu)
        if run.last?.isOpenSlot ?? false { return false }
        return run.allSatisfy { $0.offset < stretch.upperBound }
    }

    /// The vCPUs that the header declares, and others that chunks name.
    public var vcpus: [UInt16] {
        var found = Set((0..<header.vcpuCount).map { UInt16(truncatingIfNeeded: $0) })
        for key in index.runs.keys where key.vcpu != noVCPU { found.insert(key.vcpu) }
        return found.sorted()
    }

    /// Stored bytes of bodies that have been read through this object so far.
    public var bytesRead: UInt64 { bytesTouched.load(ordering: .relaxed) }

    /// The open file that belongs to a log; nil when there is none, or none that can be read, which is reported.
    private static func readOpenFile(of log: InputFile, header: FileHeader, damage: inout [Damage]) -> OpenFile? {
        let path = log.path + ".open"
        guard isRegularFile(path) else { return nil }
        do throws(LogError) {
            let file = try InputFile(path: path)
            return try OpenFile.read(file, nonce: header.nonce, withIcount: header.features.contains(.icount))
        } catch {
            // Gone since: the log has been closed.
            if error.kind == .cannotOpen(errno: ENOENT) { return nil }
            damage.append(Damage(file: path, offset: error.offset ?? 0, length: 0, what: error.damageKind))
            return nil
        }
    }

    /// Whether a file's last bytes, reported as that damage, are the beginning of a chunk whose records the open file
    /// has: the chunk itself if its header is complete, else some records.
    private static func holdsLastChunk(_ openFile: OpenFile, torn: Chunk?, damage: Damage?) -> Bool {
        guard openFile.damage.isEmpty, let damage else { return false }
        switch damage.what {
        case .truncated(.chunkHeader, _, _):
            return !openFile.chunks.isEmpty
        case .truncated(.body, _, _):
            guard let torn, torn.offset == damage.offset else { return false }
            return openFile.chunks.contains {
                $0.stream == torn.stream && $0.vcpu == torn.vcpu && $0.firstOrdinal == torn.firstOrdinal
                    && $0.count >= torn.count
            }
        default: return false
        }
    }

    /// The chunk headers of a log, from its directories or from a search in the whole file.
    private static func findChunks(
        _ file: InputFile, size: UInt64, nonce: UInt64, damage: inout [Damage]
    ) throws(LogError) -> Found {
        let decoder = ChunkHeaderDecoder(nonce: nonce)
        let outcome = try DirectoryChain.read(file, size: size, decoder: decoder)
        if case .chain(let chain) = outcome {
            return Found(chunks: chain.chunks, trailer: chain.trailer, isClosed: true)
        }
        if case .broken(let offset, let what) = outcome {
            damage.append(Damage(file: file.path, offset: offset, length: 0, what: what))
        }
        var walk = ChunkWalk(file, size: size, decoder: decoder)
        try walk.run()
        damage += walk.damage
        return Found(
            chunks: walk.chunks, trailer: walk.trailer, isClosed: walk.isClosed, torn: walk.torn,
            unexplained: walk.unexplained)
    }

    /// The content of the log's file after its header.
    private struct Found {
        var chunks: [Chunk]
        var trailer: Trailer?
        var isClosed: Bool
        /// The last chunk, where the file ends inside its body.
        var torn: Chunk?
        /// Parts of the file without any known content.
        var unexplained: [Range<UInt64>] = []
    }

    /// Reads and checks the file header. A header with a wrong checksum is used and reported; the nonce is then taken
    /// from the first intact chunk.
    private static func readHeader(_ file: InputFile, damage: inout [Damage]) throws(LogError) -> FileHeader {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: Int(TTLOG_FILE_HEADER_SIZE))
        let present = try file.read(bytes, at: 0)
        let (decoded, problem) = FileHeader.decode(UnsafeRawBufferPointer(bytes).prefixed(present))
        switch problem {
        case .tooShort(let size): throw LogError(file: file.path, kind: .tooShort(UInt64(size)))
        case .notALog(let found): throw LogError(file: file.path, offset: 0, kind: .notALog(found: found))
        case .version(let version): throw LogError(file: file.path, offset: 8, kind: .unsupportedVersion(version))
        case .size(let size): throw LogError(file: file.path, offset: 16, kind: .unsupportedHeaderSize(size))
        case .checksum, nil: break
        }
        guard var header = decoded else { throw LogError(file: file.path, kind: .tooShort(UInt64(present))) }
        if case .checksum(let expected, let found) = problem {
            damage.append(
                Damage(
                    file: file.path, offset: 0, length: UInt64(TTLOG_FILE_HEADER_SIZE),
                    what: .checksum(structure: .fileHeader, expected: expected, found: found)))
            if let nonce = try ChunkWalk.findNonce(file, size: file.size) { header.nonce = nonce }
        }
        return header
    }

    /// Whether a chunk's stored bytes are all there and have its hash.
    private static func isIntact(_ chunk: Chunk, in file: InputFile) -> Bool {
        var reader = BodyReader()
        do throws(LogError) {
            _ = try reader.body(of: chunk, in: file)
            return true
        } catch {
            return false
        }
    }
}
