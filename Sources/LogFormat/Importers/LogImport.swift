// SPDX-License-Identifier: GPL-2.0-or-later

/// What ``importLog(_:to:layout:replacing:attributes:progress:)`` wrote.
public struct ImportSummary: Sendable {
    /// The input's format.
    public let format: InputFormat
    /// Branches that were written.
    public let branches: UInt64
    /// Events and accesses.
    public let events: UInt64
    /// The number of the log's vCPUs.
    public let vcpuCount: Int
    /// The parts of the input that could not be read.
    public let skipped: [Damage]
}

/// Writes a file of a foreign format as a log.
///
/// The log gets its name when it is complete; until then an existing file of that name stays unchanged. The attributes
/// `import.source`, `import.size` and `import.format` record the origin.
///
/// - Parameters:
///   - input: The file; its content decides which format it has.
///   - path: The log to write.
///   - layout: The layout of its records, for a log of XenTT, which has no mark; nil for all other formats.
///   - replacing: Whether a file of that name may be replaced.
///   - attributes: Further attributes of the log.
///   - progress: Receives the share that is done, from time to time.
/// - Throws: ``LogError`` if the input cannot be read, has no known format or is a log already, or if the log cannot be
///   written or `path` is the input.
@discardableResult
public func importLog(
    _ input: String, to path: String, layout: RecordLayout? = nil, replacing: Bool = false,
    attributes: [(key: String, value: String)] = [],
    progress: ImportProgress = { _ in }
) throws(LogError) -> ImportSummary {
    let source = try InputFile(path: input)
    guard !source.isSame(as: path) else {
        throw LogError(file: path, kind: .invalidRequest("a log cannot replace the file it is imported from"))
    }
    let importer: any Importer =
        if let layout {
            try XenTTImporter(source, layout: layout, progress: progress)
        } else {
            try InputFormat.recognize(source).importer(source, progress: progress)
        }
    try checkTarget(path)
    let file = try PendingFile(for: path)
    let origin = [
        ("import.source", input.split(separator: "/").last.map(String.init) ?? input),
        ("import.size", String(source.size)),
    ]
    let damage = try importer.write(to: file, named: path, attributes: origin + attributes, progress: progress)
    try file.publish(as: path, replacing: replacing)
    let log = try LogFile(path: path)
    func count(_ streams: [LogStream]) -> UInt64 {
        log.chunks.reduce(0) { streams.contains($1.stream) ? $0 &+ UInt64($1.count) : $0 }
    }
    return ImportSummary(
        format: importer.format, branches: count([.branch]), events: count([.event, .access]),
        vcpuCount: log.header.vcpuCount,
        skipped: damage)
}
