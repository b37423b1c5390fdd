// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize

/// Whether a file belongs to a log: the share of the places that branches left at which the file's code has the
/// instruction that the log describes.
///
///     for match in try CodeMatch.measure(log, code) where !match.belongs {
///         print("\(match.path) does not belong to the log: only \(match.share * 100) % fit")
///     }
///
/// A place fits if capstone finds an instruction of the class in the branch's label there, with the same target if it
/// has a static one; in a log without labels, any control transfer fits. Not counted are places that an interrupt or an
/// exception left, places outside the file's code, and places that a kernel patches (if ``CodeMap/findPatchSites(_:)``
/// has found these).
public struct CodeMatch: Sendable, Hashable {
    /// The path of the file, as the caller gave it.
    public var path: String
    /// Distinct places in the file's code that branches left.
    public var places: Int
    /// The number of these places where the file has such a branch.
    public var fitting: Int

    /// The share that fits, 0 … 1; 1 when there are no places.
    public var share: Double { places == 0 ? 1 : Double(fitting) / Double(places) }

    /// The share below which a file does not belong. Measured over a Linux boot: the right vmlinux has 1.00, or 0.84 if
    /// its patch sites are counted. The same version in another flavour, and the right file loaded 16 bytes to 2 MiB
    /// from its place, have at most 0.01 (docs/symbols.md).
    public static let threshold = 0.5

    /// Fewer places than this decide nothing.
    public static let fewest = 20

    /// Whether the file may belong to the log.
    public var belongs: Bool { places < CodeMatch.fewest || share >= CodeMatch.threshold }

    /// Looks at a sample of a log: chunks of branches, spread evenly, until each file has been seen in `placeCount` distinct
    /// places or `chunkLimit` chunks were read.
    ///
    /// - Returns: One for each file of the map, in order.
    public static func measure(
        _ log: LogFile, _ code: CodeMap, chunkLimit: Int = 48, placeCount: Int = 4000
    ) throws(DisassemblerError) -> [CodeMatch] {
        var sample = CodeSample(code, try Disassembler(), hasLabels: log.header.features.contains(.labels))
        let chunks = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.filter { !$0.isElided }
        var batch = BranchBatch()
        for index in order(of: chunks.count, limit: chunkLimit) {
            do throws(LogError) {
                try log.decode(chunks[index], into: &batch)
                for place in 0..<batch.count {
                    sample.look(from: batch.from[place], to: batch.to[place], label: batch.label[place])
                }
            } catch {
                // The log's reader reports damage.
            }
            if sample.matches.allSatisfy({ $0.places >= placeCount }) { break }
        }
        return sample.matches
    }

    /// The same for raw records: any control transfer fits.
    public static func measure(
        _ raw: RawBTSFile, _ code: CodeMap, placeCount: Int = 4000
    ) throws(DisassemblerError) -> [CodeMatch] {
        var sample = CodeSample(code, try Disassembler(), hasLabels: false)
        // The extended form can only be read from its beginning on.
        let isPlain = raw.form == .plain
        let stretch: UInt64 = isPlain ? 4096 : 1 << 20
        for index in order(of: Int(clamping: raw.count / stretch &+ 1), limit: isPlain ? 48 : 1) {
            let from = isPlain ? UInt64(index) &* stretch : 0
            var branches = raw.branches(from: from, to: isPlain ? from &+ stretch : .max)
            var left = stretch
            while left > 0,
                branches.nextBatch({ batch, range in
                    for place in range { sample.look(from: batch.from[place], to: batch.to[place], label: 0) }
                    left -= min(left, UInt64(range.count))
                })
            {}
            if sample.matches.allSatisfy({ $0.places >= placeCount }) { break }
        }
        return sample.matches
    }

    /// At most `limit` of `count` chunks, evenly spread, with the last chunk; every sixth of them comes first.
    static func order(of count: Int, limit: Int) -> [Int] {
        let picked = min(count, limit)
        guard picked > 1 else { return Array(0..<picked) }
        let all = (0..<picked).map { $0 * (count - 1) / (picked - 1) }
        let isFirst = { (index: Int) in (picked - 1 - index) % 6 == 0 }
        return all.indices.filter(isFirst).map { all[$0] } + all.indices.filter { !isFirst($0) }.map { all[$0] }
    }
}

extension CodeMatch: CustomStringConvertible {
    /// The share in percent, with one decimal.
    public var percent: String {
        let tenths = Int((share * 1000).rounded(.down))
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// One sentence: the file, the share of places that match, and what follows from it.
    public var description: String {
        belongs
            ? "\(path) fits: \(percent) % of \(places) places where branches were taken have that branch in its code"
            : "\(path) does not belong to it, or was loaded elsewhere: only \(percent) % of \(places) places where branches "
                + "were taken have that branch in its code; names from it are wrong"
    }
}

/// Distinct places of branches that are in the code of the files.
private struct CodeSample: ~Copyable {
    private struct Place: Hashable {
        var address: UInt64
        var label: UInt8
    }

    /// The largest number of places that are checked for a file.
    private static let placeLimit = 20_000

    private(set) var matches: [CodeMatch]
    private let code: CodeMap
    private let disassembler: Disassembler
    private let hasLabels: Bool
    private var seen: Set<Place> = []
    private var last: Place?

    init(_ code: CodeMap, _ disassembler: Disassembler, hasLabels: Bool) {
        self.code = code
        self.disassembler = disassembler
        self.hasLabels = hasLabels
        matches = code.paths.map { CodeMatch(path: $0, places: 0, fitting: 0) }
    }

    @inline(__always)
    mutating func look(from: UInt64, to: UInt64, label: UInt8) {
        let label = BranchLabel(rawValue: label)
        if hasLabels, label.isDiscontinuity || label.branchClass == .unknown { return }
        let place = Place(address: from, label: label.rawValue)
        guard place != last else { return }
        last = place
        lookAnew(place, to)
    }

    private mutating func lookAnew(_ place: Place, _ to: UInt64) {
        guard let file = code.file(at: place.address), code.patchSite(at: place.address) == nil,
            matches[file].places < CodeSample.placeLimit,
            seen.insert(place).inserted
        else { return }
        matches[file].places += 1
        let modes = place.address > UInt64(UInt32.max) ? [CodeMode.bits64] : [.bits64, .bits32]
        if modes.contains(where: { fits(place, to, $0) }) { matches[file].fitting += 1 }
    }

    private func fits(_ place: Place, _ to: UInt64, _ mode: CodeMode) -> Bool {
        let disassembler = disassembler
        let found = code.withBytes(at: place.address) { disassembler.decode($0, at: place.address, mode: mode) }
        guard let instruction = found ?? nil else { return false }
        guard hasLabels else { return instruction.branchClass != .none }
        let label = BranchLabel(rawValue: place.label)
        return instruction.branchClass == label.branchClass
            && (!label.hasStaticTarget || (instruction.hasTarget && instruction.target == to))
    }
}
