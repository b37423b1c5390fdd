// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// The code of several files at the addresses of a run.
///
///     var code = CodeMap()
///     try code.add("vmlinux")
///     try code.add("init", slide: 0x5555_5555_4000)
///     let bytes = code.bytes(at: 0xffff_ffff_8100_1234, count: 15)
///
/// If code changes itself (a kernel that patches alternatives and static keys into itself), the map shows it as it was
/// linked; ``findPatchSites(_:)`` finds these places. Files are searched in the order in which they were added. All
/// calls are safe from any thread.
public struct CodeMap: @unchecked Sendable {
    /// A stretch of code at its addresses of the run.
    struct Area {
        var low: UInt64
        /// Exclusive.
        var high: UInt64
        var start: UnsafeRawPointer
        var file: Int32
        var mode: CodeMode
    }

    /// Ascending, none in another.
    private(set) var areas: [Area] = []
    /// Keeps alive the memory that the areas point into.
    private var images: [CodeImage] = []
    private var slides: [UInt64] = []
    /// Where the run may have had other code than the files, ascending; see ``findPatchSites(_:)``.
    public private(set) var patchSites: [Range<UInt64>] = []

    /// A map without code.
    public init() {}

    /// The code of the files that a symbolizer has read, at the addresses where it has them.
    ///
    /// - Returns: In `warnings`, the files that have none: lists of symbols, debug files, objects.
    public static func of(
        _ modules: [ModuleInfo], machine: Machine? = .x86_64
    ) -> (code: CodeMap, warnings: [SymbolError]) {
        var result = CodeMap()
        var warnings: [SymbolError] = []
        for module in modules {
            if module.isKernelModule { continue }
            do throws(SymbolError) {
                try result.add(module.path, slide: module.slide, range: module.range, machine: machine)
            } catch {
                warnings.append(error.hasNoCode ? SymbolError(file: module.path, kind: .noCode) : error)
            }
        }
        let kernelModules = modules.filter(\.isKernelModule)
        if let first = kernelModules.first {
            let others = kernelModules.count - 1
            warnings.append(SymbolError(file: first.path, kind: .noModuleCode(others: others)))
        }
        return (result, warnings)
    }

    /// The code of files as a command line names them.
    public init(files: [SymbolFile], machine: Machine? = .x86_64) throws(SymbolError) {
        for file in files { try add(file, machine: machine) }
    }

    /// Maps the code of a file as a command line names it.
    public mutating func add(_ file: SymbolFile, machine: Machine? = .x86_64) throws(SymbolError) {
        try add(file.path, placement: file.placement, range: file.range, machine: machine)
    }

    /// Maps the code of a linked ELF file.
    ///
    /// - Parameters:
    ///   - slide: What to add to the file's addresses to get those of the run.
    ///   - range: The addresses of the run that this file answers for; all of its code when `nil`.
    ///   - machine: The processor that the file must be for (ELF `e_machine`); either x86 when `nil`.
    public mutating func add(
        _ path: String, slide: Int64 = 0, range: Range<UInt64>? = nil, machine: Machine? = .x86_64
    ) throws(SymbolError) {
        try add(path, placement: .slide(slide), range: range, machine: machine)
    }

    private mutating func add(
        _ path: String, placement: SymbolFile.Placement, range: Range<UInt64>?, machine: Machine?
    ) throws(SymbolError) {
        let image = try CodeImage(path: path, machine: machine)
        let slide: UInt64 =
            switch placement {
            case .linked: 0
            case .slide(let slide): UInt64(bitPattern: slide)
            case .address(let address): address &- image.lowestSegment
            }
        let file = Int32(truncatingIfNeeded: images.count)
        images.append(image)
        slides.append(slide)
        var added: [Area] = []
        for part in image.parts {
            let low = part.range.lowerBound &+ slide
            let high = part.range.upperBound &+ slide
            guard low < high else { continue }  // beyond the end of the address space
            let clipped = range.map { (low..<high).clamped(to: $0) } ?? low..<high
            guard !clipped.isEmpty else { continue }
            added.append(
                Area(
                    low: clipped.lowerBound, high: clipped.upperBound,
                    start: part.bytes.start + Int(clipped.lowerBound &- low), file: file, mode: image.mode))
        }
        areas = CodeMap.merge(areas, added.sorted { $0.low < $1.low })
    }

    /// Finds the places where a Linux kernel among the files changes its own code, by its own tables, and keeps them in
    /// ``patchSites``.
    public mutating func findPatchSites(_ disassembler: Disassembler) throws(SymbolError) {
        var sites: [Range<UInt64>] = []
        for (image, slide) in zip(images, slides) {
            for site in try PatchSites.read(image, disassembler) {
                let (low, high) = (site.lowerBound &+ slide, site.upperBound &+ slide)
                if low < high, let file = file(at: low), images[file] === image { sites.append(low..<high) }
            }
        }
        patchSites = sites.joinedRanges()
    }

    /// The place of ``patchSites`` that contains an address.
    public func patchSite(at address: UInt64) -> Range<UInt64>? {
        let index = patchSites.partitioningIndex { $0.upperBound > address }
        return index < patchSites.count && patchSites[index].contains(address) ? patchSites[index] : nil
    }

    /// What happened to the files since they were opened: code that was read after that is wrong; `nil` if nothing did.
    public var change: SymbolError? { images.lazy.compactMap(\.change).first }

    /// Whether no file has code.
    public var isEmpty: Bool { areas.isEmpty }

    /// The addresses of the run that have code, ascending.
    public var ranges: [Range<UInt64>] { areas.map { $0.low..<$0.high }.joinedRanges() }

    /// Calls `body` with the code from an address of the run to the end of its stretch of the file; `nil` if no file
    /// has code. The bytes are valid during the call.
    public func withBytes<R>(at address: UInt64, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R? {
        guard let area = area(at: address) else { return nil }
        return try withExtendedLifetime(images) {
            try body(
                UnsafeRawBufferPointer(
                    start: area.start + Int(address &- area.low), count: Int(area.high &- address)))
        }
    }

    /// A copy of as many bytes of code from an address on, fewer at the end of a stretch; empty if no file has code.
    public func bytes(at address: UInt64, count: Int) -> [UInt8] {
        withBytes(at: address) { Array($0.prefix(max(0, count))) } ?? []
    }

    /// The files, as they were given, in the order in which they were added.
    public var paths: [String] { images.map(\.path) }

    /// The file that has code there, an index into ``paths``.
    public func file(at address: UInt64) -> Int? { area(at: address).map { Int($0.file) } }

    /// How the file that has code there runs, by its ELF class.
    public func mode(at address: UInt64) -> CodeMode? { area(at: address)?.mode }

    /// Whether a file has code there.
    @inline(__always)
    public func contains(_ address: UInt64) -> Bool { area(at: address) != nil }

    @inline(__always)
    func area(at address: UInt64) -> Area? {
        areas.withUnsafeBufferPointer { areas in
            let index = areas.partitioningIndex { $0.high > address }
            return index < areas.count && areas[index].low <= address ? areas[index] : nil
        }
    }

    /// Both lists in order; where they overlap, the first holds.
    private static func merge(_ first: [Area], _ second: [Area]) -> [Area] {
        var result = first
        var next = 0
        for area in second {
            var low = area.low
            while next < first.count, first[next].high <= low { next += 1 }
            var index = next
            while low < area.high {
                let isBlocked = index < first.count && first[index].low < area.high
                let high = isBlocked ? max(first[index].low, low) : area.high
                if low < high {
                    var piece = area
                    (piece.low, piece.high) = (low, high)
                    piece.start = area.start + Int(low &- area.low)
                    result.append(piece)
                }
                guard isBlocked else { break }
                low = max(low, first[index].high)
                index += 1
            }
        }
        return result.sorted { $0.low < $1.low }
    }
}

extension SymbolError {
    /// The file may have names, but has no code: a separate debug file, a list of symbols, a kernel module.
    public var hasNoCode: Bool {
        switch kind {
        case .noCode, .noModuleCode, .notELF: true
        default: false
        }
    }
}
