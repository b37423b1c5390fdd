// SPDX-License-Identifier: GPL-2.0-or-later

// libFuzzer's harness for the readers of ELF and DWARF (through libdw), symbol texts and cached tables. The first byte of the input says
// what the rest is: 0 a symbol file, else a cached table whose checksums are made right first, so that the fuzzer gets
// behind them.

import CTTLog
import Glibc

private let path = "/tmp/symbolize-fuzz.\(getpid())"

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    guard size > 1 else { return 0 }
    let content = UnsafeRawBufferPointer(start: start + 1, count: size - 1)
    if start[0] == 0 { fuzzFile(content) } else { fuzzTable(content) }
    return 0
}

private func fuzzFile(_ content: UnsafeRawBufferPointer) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, content.baseAddress, content.count)
    close(descriptor)
    let symbolizer = Symbolizer()
    guard let info = try? symbolizer.add(path, machine: nil) else { return }
    let size = info.range.upperBound - info.range.lowerBound
    for step in 0..<UInt64(64) {
        _ = symbolizer.symbolize(info.range.lowerBound &+ size / 64 &* step)
    }
    _ = symbolizer.resolve(name: "main+4")
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
    let sizes = [40, 4, 16, 4, 24, 24, 1, 16] as [UInt64]
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
    }
}

private final class Owner {}
