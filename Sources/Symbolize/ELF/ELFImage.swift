// SPDX-License-Identifier: GPL-2.0-or-later

/// An ELF file, 32 or 64 bits, little-endian: its sections, its code, its identity. Addresses are the file's own
/// (link-time) ones. (System V ABI, chapters 4 and 5.)
///
/// Every number in the file is checked before it is used; a damaged section reads as an empty one.
final class ELFImage: @unchecked Sendable {
    /// What a file is opened for: what it may be.
    enum Role {
        /// A program, a shared library, a kernel.
        case program
        /// A file with separate debug information.
        case debugFile
        /// A .dwo or .dwp file.
        case splitUnits
    }

    struct Section {
        var name: String
        var type: UInt32
        var flags: UInt64
        var address: UInt64
        var offset: UInt64
        var size: UInt64
        var link: UInt32
        var entrySize: UInt64
    }

    /// ELF constants that are used here (System V ABI; GNU extensions).
    enum Constant {
        static let relocatable: UInt16 = 1
        static let executable: UInt16 = 2
        static let dynamic: UInt16 = 3
        static let symbolTable: UInt32 = 2
        static let note: UInt32 = 7
        static let noBits: UInt32 = 8
        static let dynamicSymbols: UInt32 = 11
        static let allocated: UInt64 = 2
        static let code: UInt64 = 4
        static let compressed: UInt64 = 0x800
        static let loadSegment: UInt32 = 1
        static let noteSegment: UInt32 = 4
        static let executableSegment: UInt32 = 1
        static let buildIDNote: UInt32 = 3
    }

    let file: MappedFile
    let path: String
    let machine: UInt16
    let is64Bit: Bool
    let sections: [Section]
    /// Where code stands: sections flagged executable or, in a file without sections, executable segments. Sorted,
    /// joined, never empty ranges.
    let text: [Range<UInt64>]
    /// The lowest address of a loaded segment; `nil` without any.
    let lowestSegment: UInt64?
    /// The GNU build ID; empty when the file has none.
    let buildID: [UInt8]
    /// A hash over the file header and the section headers: tells a stripped file from its unstripped original, which
    /// share a build ID.
    let shape: UInt64

    private var inflated: [String: Inflated] = [:]

    /// Opens a file for `machine` (ELF `e_machine`); any machine when `nil`.
    init(path: String, machine expected: UInt16?, role: Role = .program) throws(SymbolError) {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        let file = try MappedFile(path: path)
        let bytes = file.bytes
        if let magic: UInt32 = bytes.load(0x202), magic == 0x5372_6448 { throw fail(.bootImage) }
        guard bytes.load(0, as: UInt32.self) == 0x464c_457f else {
            throw fail(.notELF(firstBytes: Array(bytes.buffer.prefix(4))))
        }
        guard let header = ELFHeader(bytes) else { throw fail(.damagedELF("its header is cut off")) }
        guard header.byteOrder == 1 else { throw fail(.damagedELF("only little-endian files can be read")) }
        guard header.fileClass == 1 || header.fileClass == 2 else {
            throw fail(.damagedELF("neither 32 nor 64 bits: class \(header.fileClass)"))
        }
        if let expected, header.machine != expected {
            throw fail(.wrongMachine(expected: expected, found: header.machine))
        }
        let isLinked = header.type == Constant.executable || header.type == Constant.dynamic
        guard isLinked || (role == .splitUnits && header.type == Constant.relocatable) else {
            throw fail(.notLinked(type: header.type))
        }
        self.file = file
        self.path = path
        machine = header.machine
        is64Bit = header.fileClass == 2
        sections = header.sections(bytes)
        let segments = header.segments(bytes)
        text = ELFImage.textRanges(sections, segments)
        lowestSegment = segments.filter { $0.type == Constant.loadSegment }.map(\.address).min()
        buildID = ELFImage.findBuildID(bytes, sections, segments)
        shape = header.shape(bytes)
    }

    /// Whether `address` is one of code.
    func isText(_ address: UInt64) -> Bool { text.containsSorted(address) }

    /// The first section of that name.
    func section(named name: String) -> Section? { sections.first { $0.name == name } }

    /// The bytes of a section as they stand in the file; nothing where they do not lie within it.
    func rawBytes(_ section: Section) -> Bytes {
        guard section.type != Constant.noBits else { return .empty }
        return file.bytes.slice(section.offset, section.size) ?? .empty
    }

    /// The bytes of a section by its name.
    func rawSection(_ name: String) -> Bytes { section(named: name).map { rawBytes($0) } ?? .empty }

    /// The bytes of a debug section, inflated where they are compressed; nothing where there is no such section.
    /// Called while one thread holds the file; the bytes live as long as the file does.
    func debugSection(_ name: String) -> Bytes {
        if let section = section(named: name) {
            let raw = rawBytes(section)
            guard section.flags & Constant.compressed != 0 else { return raw }
            return keep(name) { Inflated(compressedSection: raw, is64Bit: is64Bit) }
        }
        if name.hasPrefix(".debug_"), let section = section(named: ".z" + name.dropFirst()) {
            return keep(name) { Inflated(oldStyleSection: rawBytes(section)) }
        }
        return .empty
    }

    /// Names of compressed debug sections that could not be inflated.
    private(set) var damagedSections: [String] = []

    private func keep(_ name: String, _ inflate: () -> Inflated?) -> Bytes {
        if let known = inflated[name] { return known.bytes }
        guard let made = inflate() else {
            if !damagedSections.contains(name) { damagedSections.append(name) }
            return .empty
        }
        inflated[name] = made
        return made.bytes
    }

    // MARK: - Text and build ID

    private static func textRanges(_ sections: [Section], _ segments: [ELFHeader.Segment]) -> [Range<UInt64>] {
        let wanted = Constant.allocated | Constant.code
        var ranges = sections.filter { $0.flags & wanted == wanted }.compactMap { range($0.address, $0.size) }
        if ranges.isEmpty {
            ranges = segments.filter {
                $0.type == Constant.loadSegment && $0.flags & Constant.executableSegment != 0
            }.compactMap { range($0.address, $0.memorySize) }
        }
        return ranges.joinedRanges()
    }

    private static func range(_ start: UInt64, _ size: UInt64) -> Range<UInt64>? {
        let (end, overflow) = start.addingReportingOverflow(size)
        return size > 0 && !overflow ? start..<end : nil
    }

    private static func findBuildID(
        _ bytes: Bytes, _ sections: [Section], _ segments: [ELFHeader.Segment]
    ) -> [UInt8] {
        var notes = sections.filter { $0.type == Constant.note }.map { ($0.offset, $0.size) }
        notes += segments.filter { $0.type == Constant.noteSegment }.map { ($0.offset, $0.fileSize) }
        for (offset, size) in notes {
            guard let area = bytes.slice(offset, size) else { continue }
            var cursor = ByteCursor(area)
            while cursor.remaining >= 12 {
                let (nameSize, size, type) = (cursor.u32(), cursor.u32(), cursor.u32())
                let name = cursor.position
                cursor.skip((nameSize + 3) & ~3)
                let content = cursor.position
                cursor.skip((size + 3) & ~3)
                guard !cursor.isDamaged else { break }
                if type == Constant.buildIDNote, nameSize == 4, size > 0, size <= 64,
                    name.loadUnaligned(as: UInt32.self) == 0x0055_4e47
                {
                    return Array(UnsafeRawBufferPointer(start: content, count: Int(size)))
                }
            }
        }
        return []
    }
}

extension [Range<UInt64>] {
    /// Whether one of these sorted ranges contains the address.
    func containsSorted(_ address: UInt64) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) / 2
            if self[middle].upperBound <= address { low = middle &+ 1 } else { high = middle }
        }
        return low < count && self[low].contains(address)
    }

    /// Sorted, with touching and overlapping ranges made one.
    func joinedRanges() -> [Range<UInt64>] {
        var joined: [Range<UInt64>] = []
        for range in sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }
}
