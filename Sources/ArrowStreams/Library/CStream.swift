// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow
import Glibc
import LogFormat

// Streams through the C interface (ttlogarrow.h).

/// `ttla_stream`
@_cdecl("ttla_stream")
public func openStream(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ request: UnsafePointer<ttla_request>?,
    _ out: UnsafeMutablePointer<ArrowArrayStream>?, _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.initialize(to: ArrowArrayStream())
    return reporting(to: error) {
        guard let out, let log = Handle<OpenLog>.object(handle) else { throw RequestError.noStream("") }
        let stream = try StreamName(name)
        let request = try request.map { try StreamRequest(complete($0), log: log.file) } ?? StreamRequest()
        exportStream(try stream.source(log, request), to: out)
    }
}

/// `ttla_columns`
@_cdecl("ttla_columns")
public func describeColumns(
    _ name: UnsafePointer<CChar>?, _ kind: UnsafePointer<CChar>?
) -> UnsafeMutablePointer<CChar>? {
    guard let stream = try? StreamName(name), let kinds = try? StreamRequest.kinds(kind) else { return nil }
    let columns = stream.columns(kind: kinds.first).map { column in
        JSONValue.object([
            ("name", .text(column.name)), ("type", .text(column.type.rawValue)), ("unit", .optional(column.unit)),
            ("summary", .text(column.summary)), ("is_code", .flag(column.isCode)),
        ])
    }
    return strdup(JSONValue.list(columns).document)
}

/// `ttla_partitions`
@_cdecl("ttla_partitions")
public func dividePartitions(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ vcpu: Int32, _ parts: Int32,
    _ bounds: UnsafeMutablePointer<UInt64>?
) -> Int32 {
    guard let log = Handle<OpenLog>.object(handle), let bounds, parts > 0, let vcpu = UInt16(exactly: max(vcpu, 0)),
        let stream = (try? StreamName(name))?.logStream, stream != .meta
    else { return 0 }
    let found = partitionBounds(log.file.chunks(stream, vcpu: vcpu), parts: Int(parts))
    bounds.update(from: found, count: found.count)
    return Int32(found.count)
}

/// `ttla_scan`
@_cdecl("ttla_scan")
public func scanBranches(_ handle: OpaquePointer?, _ columns: UnsafePointer<CChar>?) -> Int64 {
    guard let log = Handle<OpenLog>.object(handle) else { return -1 }
    let names = (try? StreamRequest.names(columns)) ?? BranchColumn.allCases.map(\.rawValue)
    let chosen = names.compactMap { BranchColumn(rawValue: $0) }
    let decoded = chosen.reduce(into: BranchBatch.Columns()) { $0.formUnion($1.decoded) }
    var batch = BranchBatch()
    var count: Int64 = 0
    for chunk in log.file.chunks where chunk.stream == .branch {
        guard (try? log.file.decode(chunk, into: &batch, columns: decoded)) != nil else { return -1 }
        count += Int64(batch.count)
    }
    return count
}

/// `ttla_struct_counts`
@_cdecl("ttla_struct_counts")
public func countStructs(_ exported: UnsafeMutablePointer<Int64>?, _ released: UnsafeMutablePointer<Int64>?) {
    exported?.pointee = Int64(StructCounts.exported)
    released?.pointee = Int64(StructCounts.released)
}

/// Ascending clocks that divide chunks into parts of about equally many records; none without chunks.
func partitionBounds(_ chunks: ArraySlice<Chunk>, parts: Int) -> [UInt64] {
    guard let first = chunks.first, let last = chunks.last else { return [] }
    let end = last.clockLast == .max ? .max : last.clockLast + 1
    let steps = zip(chunks, chunks.dropFirst())
    guard parts > 1, steps.allSatisfy({ $0.clockLast <= $1.clockFirst }) else {
        let low = chunks.reduce(first.clockFirst) { min($0, $1.clockFirst) }
        return [low, chunks.reduce(end) { max($0, $1.clockLast == .max ? .max : $1.clockLast + 1) }]
    }
    let total = chunks.reduce(0.0) { $0 + Double($1.count) }
    var bounds = [first.clockFirst]
    var done = 0.0
    for chunk in chunks {
        let isDue = done >= total * Double(bounds.count) / Double(parts)
        if isDue, bounds.count < parts, let bound = bounds.last, chunk.clockFirst > bound {
            bounds.append(chunk.clockFirst)
        }
        done += Double(chunk.count)
    }
    if let bound = bounds.last, end > bound { bounds.append(end) }
    return bounds
}

// MARK: - Arguments

extension StreamName {
    fileprivate init(_ name: UnsafePointer<CChar>?) throws(RequestError) {
        guard let name, let text = String(validatingCString: name) else { throw .notUTF8 }
        guard let stream = StreamName(rawValue: text) else { throw .noStream(text) }
        self = stream
    }
}

/// A request of a caller that may know fewer fields; those are 0.
private func complete(_ request: UnsafePointer<ttla_request>) -> ttla_request {
    var whole = ttla_request()
    let size = min(Int(request.pointee.size), MemoryLayout<ttla_request>.size)
    withUnsafeMutableBytes(of: &whole) { bytes in
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: request, count: size))
    }
    return whole
}

extension StreamRequest {
    /// The size of a request of the first callers.
    private static let firstSize = MemoryLayout<ttla_request>.offset(of: \.symbols) ?? 0

    fileprivate init(_ request: ttla_request, log: LogFile) throws(RequestError) {
        guard Int(request.size) >= StreamRequest.firstSize else { throw .requestSize(request.size) }
        if request.vcpu >= 0 {
            guard let number = UInt16(exactly: request.vcpu), log.vcpus.contains(number) else {
                throw .noVCPU(request.vcpu, present: log.vcpus)
            }
            vcpu = number
        }
        from = request.from
        to = request.to
        columns = try StreamRequest.names(request.columns)
        kinds = try StreamRequest.kinds(request.kinds)
        skipsDamage = request.flags & UInt32(TTLA_SKIP_DAMAGE) != 0
        usesPlainText = request.flags & UInt32(TTLA_PLAIN_STRINGS) != 0
        symbols = Handle<RunSymbols>.object(request.symbols)
    }

    /// Names separated by commas; nil without a list.
    static func names(_ list: UnsafePointer<CChar>?) throws(RequestError) -> [String]? {
        guard let list else { return nil }
        guard let text = String(validatingCString: list) else { throw .notUTF8 }
        return text.split(separator: ",").map(String.init)
    }

    fileprivate static func kinds(_ list: UnsafePointer<CChar>?) throws(RequestError) -> [EventKind] {
        var kinds: [EventKind] = []
        for name in try names(list) ?? [] {
            guard let kind = EventKind(name: name) else { throw .noKind(name) }
            kinds.append(kind)
        }
        return kinds
    }
}
