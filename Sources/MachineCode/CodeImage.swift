// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Formatting
import Symbolize

/// The code of one ELF file, mapped. Addresses are the file's own.
final class CodeImage: Sendable {
    /// A stretch of code whose bytes are in the file.
    struct Part {
        var range: Range<UInt64>
        /// As many bytes as the range has addresses.
        var bytes: Bytes
    }

    let path: String
    /// Ascending, none in another.
    let parts: [Part]
    /// ELF class: how the file's code runs, but for stretches that bring the processor there.
    let mode: CodeMode
    /// The lowest address of a loaded segment; of the code in a file without segments.
    let lowestSegment: UInt64
    private let file: MappedFile

    /// What happened to the file since it was opened; `nil` if nothing did.
    var change: SymbolError? { file.change }

    /// Opens a linked file. Throws `.noCode` for a file that has none: a separate debug file.
    init(path: String, machine: Machine?) throws(SymbolError) {
        let image = try ELFImage(path: path, machine: machine)
        guard image.machine.isX86 else {
            throw SymbolError(file: path, kind: .wrongMachine(expected: .x86_64, found: image.machine))
        }
        let parts = CodeImage.disjoint(CodeImage.sections(image) ?? CodeImage.segments(image))
        guard !parts.isEmpty else { throw SymbolError(file: path, kind: .noCode) }
        self.path = path
        self.parts = parts
        lowestSegment = image.lowestSegment ?? parts[0].range.lowerBound
        mode = gelf_getclass(image.handle) == Int32(ELFCLASS32) ? .bits32 : .bits64
        file = image.file
    }

    /// The code from an address of the file on; empty if there is none.
    func bytes(at address: UInt64) -> Bytes {
        let index = parts.partitioningIndex { $0.range.upperBound > address }
        guard index < parts.count, parts[index].range.contains(address) else { return .empty }
        return parts[index].bytes.from(address &- parts[index].range.lowerBound)
    }

    /// Executable sections; `nil` if the file has none.
    private static func sections(_ image: ELFImage) -> [Part]? {
        let wanted = UInt64(SHF_ALLOC | SHF_EXECINSTR)
        var parts: [Part] = []
        var isThere = false
        ELFImage.forEachSection(image.handle) { section in
            let header = section.header
            guard header.sh_flags & wanted == wanted else { return }
            isThere = true
            // Compressed sections are never loaded, whatever their flags are.
            guard header.sh_type != UInt32(SHT_NOBITS), header.sh_flags & UInt64(SHF_COMPRESSED) == 0 else { return }
            if let part = part(header.sh_addr, header.sh_offset, header.sh_size, image.file) { parts.append(part) }
        }
        return isThere ? parts : nil
    }

    /// Executable segments of a file without section headers.
    private static func segments(_ image: ELFImage) -> [Part] {
        ELFImage.segments(image.handle).filter { $0.p_type == UInt32(PT_LOAD) && $0.p_flags & UInt32(PF_X) != 0 }
            .compactMap { part($0.p_vaddr, $0.p_offset, min($0.p_filesz, $0.p_memsz), image.file) }
    }

    private static func part(_ address: UInt64, _ offset: UInt64, _ size: UInt64, _ file: MappedFile) -> Part? {
        let (end, overflow) = address.addingReportingOverflow(size)
        guard size > 0, !overflow, let bytes = file.bytes.slice(offset, size) else { return nil }
        return Part(range: address..<end, bytes: bytes)
    }

    /// In ascending order; of parts that overlap (damaged files) the earlier one holds.
    private static func disjoint(_ parts: [Part]) -> [Part] {
        var result: [Part] = []
        var end: UInt64 = 0
        for part in parts.sorted(by: {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }) {
            let low = max(part.range.lowerBound, end)
            guard low < part.range.upperBound else { continue }
            result.append(
                Part(range: low..<part.range.upperBound, bytes: part.bytes.from(low &- part.range.lowerBound)))
            end = part.range.upperBound
        }
        return result
    }
}
