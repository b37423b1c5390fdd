// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import Symbolize

/// Makes the pieces of the symbol files of both runs. A file that both runs have becomes one piece.
struct SymbolPieces {
    /// The members.
    private(set) var members: [BundleMember] = []
    /// Their descriptions.
    private(set) var files: [BundleManifest.SymbolFile] = []
    /// Where they are loaded in the original and in the replay.
    private(set) var placements: (original: [BundleManifest.Placement], replay: [BundleManifest.Placement]) = ([], [])

    private struct Use {
        var isReplay: Bool
        var symbolizer: Symbolizer
        var module: Int
        var info: ModuleInfo
        /// Addresses of the file.
        var touched: [Range<UInt64>]
    }

    /// - Parameters:
    ///   - original: The symbols of the original and the addresses that it touches; nil if it has no symbols.
    ///   - replay: The same of the replay.
    init(
        original: (symbolizer: Symbolizer, touched: [Range<UInt64>])?,
        replay: (symbolizer: Symbolizer, touched: [Range<UInt64>])?
    ) throws {
        var uses: [Use] = []
        for (isReplay, side) in [(false, original), (true, replay)] {
            guard let side else { continue }
            for (module, info) in side.symbolizer.modules.enumerated() where !info.range.isEmpty {
                let slide = UInt64(bitPattern: info.slide)
                let touched = side.touched.map { $0.clamped(to: info.range) }.filter { !$0.isEmpty }
                    .map { ($0.lowerBound &- slide, $0.upperBound &- slide) }.filter { $0.0 < $0.1 }.map { $0.0..<$0.1 }
                uses.append(
                    Use(isReplay: isReplay, symbolizer: side.symbolizer, module: module, info: info, touched: touched))
            }
        }
        var done: Set<String> = []
        for use in uses where done.insert(use.info.path).inserted {
            try add(uses.filter { $0.info.path == use.info.path })
        }
        placements.original = SymbolPieces.inOrder(placements.original, uses.filter { !$0.isReplay }.map(\.info), files)
        placements.replay = SymbolPieces.inOrder(placements.replay, uses.filter(\.isReplay).map(\.info), files)
    }

    /// The order of the modules decides which one names an address.
    private static func inOrder(
        _ placements: [BundleManifest.Placement], _ modules: [ModuleInfo], _ files: [BundleManifest.SymbolFile]
    ) -> [BundleManifest.Placement] {
        func place(_ placement: BundleManifest.Placement) -> Int {
            modules.firstIndex {
                String($0.slide) == placement.slide && String($0.range.lowerBound) == placement.from
                    && $0.path.hasSuffix(files.first { $0.member == placement.member }?.name ?? "")
            } ?? modules.count
        }
        return placements.enumerated().sorted { (place($0.element), $0.offset) < (place($1.element), $1.offset) }
            .map(\.element)
    }

    /// Adds the piece of one file.
    private mutating func add(_ uses: [Use]) throws {
        guard let first = uses.first else { return }
        let path = first.info.path
        let slide = UInt64(bitPattern: first.info.slide)
        func piece(_ touched: [Range<UInt64>]) throws -> SymbolPiece? {
            let inRun = touched.joinedRanges().map { ($0.lowerBound &+ slide)..<($0.upperBound &+ slide) }
            return try first.symbolizer.piece(module: first.module, touching: inRun)
        }
        let touched = uses.flatMap(\.touched)
        guard var made = try piece(touched) else { return }
        var code = CodeMap()
        if !first.info.isKernelModule { try? code.add(path, slide: 0, machine: nil) }
        try? code.findPatchSites(try Disassembler())
        // A place that changes itself is whole, although it may begin in the function before.
        let cut = code.patchSites.filter(made.cuts)
        if !cut.isEmpty, let whole = try piece(touched + cut) { made = whole }
        let name = "symbols/\(files.count)-\(MemberName.made(from: path)).elf"
        members.append(
            BundleMember(name, .bytes(made.elf(sites: code.patchSites) { code.bytes(at: $0, count: $1) })))
        files.append(
            BundleManifest.SymbolFile(
                member: name, name: path.split(separator: "/").last.map(String.init) ?? path,
                buildID: made.buildIDText))
        for use in uses {
            let placement = BundleManifest.Placement(member: name, slide: use.info.slide, range: use.info.range)
            if use.isReplay { placements.replay.append(placement) } else { placements.original.append(placement) }
        }
    }
}
