// SPDX-License-Identifier: GPL-2.0-or-later

// A libFuzzer harness for everything that Symbolize reads. The first byte of the input selects what the rest is:
//
//     0  a symbol file: an ELF file, or a text (System.map, /proc/kallsyms)
//     1  a cached table; the harness corrects its checksums first, so that the fuzzer gets past them
//     2  sections of DWARF, which are put into an otherwise valid ELF file: a length (u32) for each of `sections` but the
//        last, then their contents; the last one gets the rest
//     3  a text of symbols, after a valid first line
//     4  a kernel module
//     5  a list of modules
//     6  a linkage name
//     7  an ELF file, which becomes the MiniDebugInfo of a stripped program
//     8  as 2, with the sections compressed by zstd; each has a byte more in front: 0, or what is done to its stream

import CLzma
import CTTLog
import CZstd
import Glibc

private let path = "/tmp/symbolize-fuzz.\(getpid())"
private let sections = [
    ".debug_abbrev", ".debug_line", ".debug_str", ".debug_line_str", ".debug_rnglists", ".debug_aranges", ".debug_info",
]
/// `TT_FUZZ_KIND=n`: treats all inputs as this kind.
private let onlyKind = getenv("TT_FUZZ_KIND").map { UInt8(truncatingIfNeeded: atoi($0)) }

/// `TT_FUZZ_TABLE_OF=PROGRAM`: writes the program's table, a seed, to the directory `table`, and exits.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_: UnsafeMutablePointer<Int32>, _: OpaquePointer) -> Int32 {
    guard let program = getenv("TT_FUZZ_TABLE_OF") else { return 0 }
    let symbolizer = Symbolizer(cache: SymbolCache(directory: "table"))
    exit((try? symbolizer.add(String(cString: program))) == nil ? 1 : 0)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    guard size > 1 else { return 0 }
    let content = UnsafeRawBufferPointer(start: start + 1, count: size - 1)
    switch onlyKind ?? start[0] {
    case 0: fuzzFile(content)
    case 1: fuzzTable(content)
    case 2: fuzzSections(content)
    case 4: fuzzFile(content, placement: .address(0xffff_ffff_c012_3000))
    case 5: fuzzList(content)
    case 6: fuzzName(content)
    case 7: elfFile([".gnu_debugdata"], [pack(content)]).withUnsafeBytes { fuzzFile($0) }
    case 8: fuzzSections(content, isCompressed: true)
    default: (Array("ffffffff81000000 T _text\n".utf8) + Array(content)).withUnsafeBytes { fuzzFile($0) }
    }
    return 0
}

private func fuzzList(_ content: UnsafeRawBufferPointer) {
    let list = ModuleList([UInt8](content))
    precondition(list.entries.count + list.badLines <= content.count)
    for entry in list.entries { _ = SymbolFile(path: "module.ko", module: entry)?.moduleSections }
}

private func fuzzFile(_ content: UnsafeRawBufferPointer, placement: SymbolFile.Placement = .linked) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, content.baseAddress, content.count)
    close(descriptor)
    let symbolizer = Symbolizer()
    guard let info = try? symbolizer.add(SymbolFile(path: path, placement: placement), machine: nil) else { return }
    let size = info.range.upperBound - info.range.lowerBound
    for step in 0..<UInt64(64) {
        _ = symbolizer.symbolize(info.range.lowerBound &+ size / 64 &* step)
    }
    _ = symbolizer.resolve(name: "main+4")

    // The same file, read on demand.
    let asked = Symbolizer(reading: .onDemand(smallest: 0, largestPart: 1))
    guard (try? asked.add(SymbolFile(path: path, placement: placement), machine: nil)) != nil else { return }
    for step in 0..<UInt64(8) {
        let address = info.range.lowerBound &+ size / 8 &* step
        guard let lookup = try? asked.lookup(for: [address]) else { return }
        lookup.forEachFrame(lookup.find(address)) { _ in }
    }
}

private func fuzzName(_ content: UnsafeRawBufferPointer) {
    let name = String(decoding: content.prefix { $0 != 0 }, as: UTF8.self)
    guard let demangled = Demangler.demangle(name) else { return }
    precondition(demangled.utf8.count <= Demangler.lengthLimit + name.utf8.count)
    for form in DemangledParts(demangled).forms { precondition(form.utf8.count <= demangled.utf8.count) }
    precondition(SourceName(demangled).isName(of: name))
}

/// Compressed as xz does.
private func pack(_ content: UnsafeRawBufferPointer) -> [UInt8] {
    var packed = [UInt8](repeating: 0, count: lzma_stream_buffer_bound(content.count))
    var size = 0
    _ = lzma_easy_buffer_encode(
        0, LZMA_CHECK_NONE, nil, content.baseAddress?.assumingMemoryBound(to: UInt8.self), content.count, &packed,
        &size,
        packed.count)
    return Array(packed.prefix(size))
}

/// A compressed section: its header (Elf64_Chdr) and a zstd stream of what follows the first byte. That byte damages the
/// header's size or the stream.
private func compress(_ part: UnsafeRawBufferPointer) -> [UInt8] {
    guard let damage = part.first else { return [] }
    let content = UnsafeRawBufferPointer(rebasing: part.dropFirst())
    var stream = [UInt8](repeating: 0, count: ZSTD_compressBound(content.count))
    let count = ZSTD_compress(&stream, stream.count, content.baseAddress, content.count, 1)
    stream.removeLast(stream.count - count)
    if damage > 0x80, !stream.isEmpty { stream[Int(damage) % stream.count] ^= 1 << (damage & 7) }
    let size = damage & 0xc0 == 0x40 ? UInt64(1) << UInt64(damage & 0x3f) : UInt64(content.count)
    func number(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) } }
    return number(2) + number(size) + number(1) + stream
}

private func fuzzSections(_ content: UnsafeRawBufferPointer, isCompressed: Bool = false) {
    let prefix = (sections.count - 1) * 4
    guard content.count >= prefix else { return }
    var rest = UnsafeRawBufferPointer(rebasing: content[prefix...])
    var parts: [UnsafeRawBufferPointer] = []
    for index in 0..<sections.count - 1 {
        let length = min(Int(content.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)), rest.count)
        parts.append(UnsafeRawBufferPointer(rebasing: rest[..<length]))
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
    }
    parts.append(rest)
    // SHF_COMPRESSED
    let file =
        isCompressed ? elfFile(sections, parts.map(compress), flags: 0x800) : elfFile(sections, parts.map(Array.init))
    file.withUnsafeBytes { fuzzFile($0) }
}

/// A program of one page of code at 0x1000 with these sections.
private func elfFile(_ sections: [String], _ parts: [[UInt8]], flags: UInt64 = 0) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 64)
    func put(_ value: UInt64, _ size: Int, into bytes: inout [UInt8]) {
        for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
    }
    var names: [UInt8] = [0]
    var headers = [UInt8](repeating: 0, count: 64)
    func add(_ name: String, type: UInt64, flags: UInt64, address: UInt64, offset: Int, size: Int) {
        put(UInt64(names.count), 4, into: &headers)
        put(type, 4, into: &headers)
        for value in [flags, address, UInt64(offset), UInt64(size), 0, 1, 0] { put(value, 8, into: &headers) }
        names += Array(name.utf8) + [0]
    }
    // SHT_NOBITS with SHF_ALLOC and SHF_EXECINSTR.
    add(".text", type: 8, flags: 6, address: 0x1000, offset: 64, size: 0x1000)
    for (name, part) in zip(sections, parts) {
        add(name, type: 1, flags: flags, address: 0, offset: file.count, size: part.count)
        file += part
    }
    add(".shstrtab", type: 3, flags: 0, address: 0, offset: file.count, size: names.count + 10)
    file += names
    let table = file.count
    file += headers
    var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    // ET_EXEC, x86-64; no segments.
    for (value, size) in [(2, 2), (62, 2), (1, 4), (0, 8), (0, 8), (table, 8), (0, 4), (64, 2), (0, 2), (0, 2)] {
        put(UInt64(value), size, into: &header)
    }
    let count = headers.count / 64
    for value in [64, count, count - 1] { put(UInt64(value), 2, into: &header) }
    file.replaceSubrange(0..<64, with: header)
    return file
}

private func fuzzTable(_ content: UnsafeRawBufferPointer) {
    var bytes = [UInt8](content)
    guard bytes.count >= SymbolTable.headerSize else { return }
    func number(_ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }
    func put(_ value: UInt64, _ offset: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt64.self) }
    }
    let sizes = [32, 16, 16, 16, 8, 24, 1, 16, 16, 8] as [UInt64]
    put(SymbolTable.magic, 0)
    put(UInt64(SymbolTable.version) | UInt64(SymbolTable.headerSize) << 32, 8)
    put(UInt64(bytes.count), 16)
    for (index, size) in sizes.enumerated() {
        let (offset, count) = (number(128 + index * 24), number(136 + index * 24))
        let (length, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, offset <= bytes.count, length <= UInt64(bytes.count) - offset else { continue }
        let hash = bytes.withUnsafeBytes { ttlog_hash($0.baseAddress! + Int(offset), Int(length), 0) }
        put(hash, 144 + index * 24)
    }
    put(bytes.withUnsafeBytes { ttlog_hash($0.baseAddress! + 32, SymbolTable.headerSize - 32, 0) }, 24)
    let key = SymbolCache.Key(first: number(32), second: number(40), name: "fuzz")
    bytes.withUnsafeBytes { raw in
        let area = Bytes(start: raw.baseAddress!, count: raw.count)
        guard let table = SymbolTable(area, key: key, owner: Owner()) else { return }
        let lookup = SymbolLookup([(range: 0..<UInt64.max, slide: 0, table: table)])
        let base = table.view.regions.count > 0 ? table.view.regions[0].base : 0
        let addresses = (0..<UInt64(64)).map { base &+ $0 &* 37 }
        for hit in lookup.find(addresses) {
            lookup.forEachFrame(hit) { frame in
                _ = lookup.withFunctionName(frame) { $0.count }
                _ = lookup.withFile(frame) { $0.count }
            }
        }
        for address in addresses { _ = table.view.describe(address, module: "fuzz") }
        _ = table.view.ranges(named: "main")
        _ = table.view.aliases(at: base)
        precondition(table.covered.allSatisfy { !$0.isEmpty } && table.units.count <= bytes.count)
    }
}

private final class Owner {}
