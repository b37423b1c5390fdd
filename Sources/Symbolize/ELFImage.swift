// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// An ELF file, opened and checked, with what Symbolize needs of it. Addresses are the file's own (link-time) ones.
struct ELFImage: ~Copyable {
    let path: String
    let machine: UInt16
    /// Where code stands: sections flagged executable or, in a file without sections, executable segments. Sorted,
    /// joined, never empty ranges.
    let text: [Range<UInt64>]
    /// Size of the file in bytes: a bound for what tables it can hold.
    let fileSize: Int

    private let descriptor: Int32
    let handle: OpaquePointer

    /// Opens a linked ELF file for `machine` (ELF `e_machine`).
    init(path: String, machine expected: UInt16) throws(SymbolError) {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        elf_version(UInt32(EV_CURRENT))
        // Non-blocking: a FIFO must not make us wait.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw fail(.cannotOpen(errno: errno)) }
        let size: Int
        do throws(SymbolError) {
            size = try ELFImage.check(descriptor, path: path)
        } catch {
            close(descriptor)
            throw error
        }
        guard let handle = elf_begin(descriptor, ELF_C_READ_MMAP, nil) else {
            close(descriptor)
            throw fail(.damagedELF(ELFImage.message(elf_errno())))
        }

        let problem: SymbolError.Kind?
        var header = GElf_Ehdr()
        if elf_kind(handle) != ELF_K_ELF {
            problem = .damagedELF("libelf does not take it for one")
        } else if gelf_getehdr(handle, &header) == nil {
            problem = .damagedELF(ELFImage.message(elf_errno()))
        } else if header.e_machine != expected {
            problem = .wrongMachine(expected: expected, found: header.e_machine)
        } else if header.e_type != UInt16(ET_EXEC) && header.e_type != UInt16(ET_DYN) {
            problem = .notLinked(type: header.e_type)
        } else {
            problem = nil
        }
        if let problem {
            elf_end(handle)
            close(descriptor)
            throw fail(problem)
        }

        self.path = path
        self.machine = header.e_machine
        self.text = ELFImage.textRanges(handle)
        self.fileSize = size
        self.descriptor = descriptor
        self.handle = handle
    }

    deinit {
        elf_end(handle)
        close(descriptor)
    }

    /// Whether `address` is one of code.
    func isText(_ address: UInt64) -> Bool {
        var low = 0
        var high = text.count
        while low < high {
            let middle = (low + high) / 2
            if text[middle].upperBound <= address { low = middle + 1 } else { high = middle }
        }
        return low < text.count && text[low].contains(address)
    }

    /// libelf's words for an error number.
    static func message(_ code: Int32) -> String {
        elf_errmsg(code == 0 ? -1 : code).map { String(cString: $0) } ?? "unknown error"
    }

    // MARK: - Opening

    /// Checks that an ELF file stands behind the descriptor, by its first bytes; returns its size.
    private static func check(_ descriptor: Int32, path: String) throws(SymbolError) -> Int {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fail(.cannotOpen(errno: errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw fail(.directory)
        default: throw fail(.notRegular)
        }
        var bytes = [UInt8](repeating: 0, count: 0x206)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { throw fail(.cannotOpen(errno: errno)) }
        if count == bytes.count, bytes[0x202...0x205].elementsEqual("HdrS".utf8) { throw fail(.bootImage) }
        guard count >= 4, bytes[0..<4].elementsEqual([0x7f, 0x45, 0x4c, 0x46]) else {
            throw fail(.notELF(firstBytes: Array(bytes.prefix(min(count, 4)))))
        }
        return Int(status.st_size)
    }

    // MARK: - Text

    private static func textRanges(_ handle: OpaquePointer) -> [Range<UInt64>] {
        var ranges = executableSections(handle)
        if ranges.isEmpty { ranges = executableSegments(handle) }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        var joined: [Range<UInt64>] = []
        for range in ranges {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    private static func executableSections(_ handle: OpaquePointer) -> [Range<UInt64>] {
        let wanted = UInt64(SHF_ALLOC | SHF_EXECINSTR)
        var ranges: [Range<UInt64>] = []
        var section = elf_nextscn(handle, nil)
        while let current = section {
            var header = GElf_Shdr()
            if gelf_getshdr(current, &header) != nil, header.sh_flags & wanted == wanted {
                append(header.sh_addr, header.sh_size, to: &ranges)
            }
            section = elf_nextscn(handle, current)
        }
        return ranges
    }

    private static func executableSegments(_ handle: OpaquePointer) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var count = 0
        guard elf_getphdrnum(handle, &count) == 0 else { return [] }
        for index in 0..<min(count, Int(UInt16.max)) {
            var header = GElf_Phdr()
            guard gelf_getphdr(handle, Int32(index), &header) != nil else { continue }
            if header.p_type == UInt32(PT_LOAD), header.p_flags & UInt32(PF_X) != 0 {
                append(header.p_vaddr, header.p_memsz, to: &ranges)
            }
        }
        return ranges
    }

    private static func append(_ start: UInt64, _ size: UInt64, to ranges: inout [Range<UInt64>]) {
        let (end, overflow) = start.addingReportingOverflow(size)
        if size > 0 && !overflow { ranges.append(start..<end) }
    }
}
