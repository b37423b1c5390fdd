// SPDX-License-Identifier: GPL-2.0-or-later

// A libFuzzer harness for the code of ELF files. The first byte of the input selects what the rest is. Even: an ELF file,
// whose code is mapped and disassembled at many places in all modes. Odd: instruction bytes, which become a program, and
// the branches of a run through it, which are decoded stretch by stretch and checked.

import CTTLog
import Glibc
import MachineCode

private let path = "/tmp/instructions-fuzz.\(getpid())"
nonisolated(unsafe) private let disassembler: Disassembler = {
    guard let made = try? Disassembler(syntax: .att) else { fatalError("capstone does not start") }
    return made
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    guard size > 1 else { return 0 }
    let content = UnsafeRawBufferPointer(start: start + 1, count: size - 1)
    if start[0] & 1 == 0 { fuzzFile(content) } else { fuzzRun(content) }
    return 0
}

private func store(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return write(descriptor, bytes.baseAddress, bytes.count) == bytes.count
}

private func fuzzFile(_ content: UnsafeRawBufferPointer) {
    guard store(content) else { return }
    var code = CodeMap()
    guard (try? code.add(path, slide: 0x1000, machine: nil)) != nil else { return }
    // Mapped a second time at a higher address, so that areas overlap and are cut.
    try? code.add(path, slide: 0x1010, range: 0x2000..<0xffff_ffff_0000_0000, machine: nil)
    try? code.findPatchSites(disassembler)
    for site in code.patchSites { precondition(site.count > 0 && code.contains(site.lowerBound)) }
    for range in code.ranges.prefix(16) {
        let size = range.upperBound - range.lowerBound
        for step in 0..<UInt64(16) {
            let address = range.lowerBound &+ size / 16 &* step
            for mode in CodeMode.allCases {
                let found = code.withBytes(at: address) { bytes in
                    let instruction = disassembler.decode(bytes, at: address, mode: mode)
                    if let instruction { precondition(Int(instruction.size) <= bytes.count) }
                    return instruction
                }
                if (found ?? nil) != nil { precondition(!disassembler.mnemonic.isEmpty) }
            }
        }
    }
}

/// A minimal program: an ELF header and one executable segment of at most 64 KiB.
private func program(_ code: UnsafeRawBufferPointer) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 120)
    func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
        withUnsafeBytes(of: value.littleEndian) {
            for (index, byte) in $0.enumerated() { bytes[offset + index] = byte }
        }
    }
    put(0x464c_457f as UInt32, 0)
    for (index, byte) in [2, 1, 1].enumerated() { bytes[4 + index] = UInt8(byte) }
    put(2 as UInt16, 16)
    put(62 as UInt16, 18)
    put(1 as UInt32, 20)
    put(64 as UInt64, 32)
    put(64 as UInt16, 52)
    put(56 as UInt16, 54)
    put(1 as UInt16, 56)
    put(1 as UInt32, 64)
    put(5 as UInt32, 68)
    put(120 as UInt64, 72)
    put(0x10000 as UInt64, 80)
    put(0x10000 as UInt64, 88)
    put(UInt64(code.count), 96)
    put(UInt64(code.count), 104)
    put(0x1000 as UInt64, 112)
    return bytes + code
}

/// The first half is code. The rest is eight bytes for each stretch: its begin, its end, and how many instructions began.
private func fuzzRun(_ content: UnsafeRawBufferPointer) {
    let half = min(content.count / 2, 1 << 16)
    guard half > 0, program(UnsafeRawBufferPointer(rebasing: content[..<half])).withUnsafeBytes(store) else { return }
    var code = CodeMap()
    guard (try? code.add(path)) != nil else { fatalError("the program cannot be read") }
    var decoder = StretchDecoder(code, disassembler, mode: .bits64)
    var place = half
    while place + 8 <= content.count {
        func number(_ offset: Int) -> UInt64 {
            UInt64(content.loadUnaligned(fromByteOffset: place + offset, as: UInt16.self))
        }
        let begin = 0x10000 &+ number(0) % UInt64(half + 2)
        let end = number(6) & 1 == 0 ? begin &+ number(2) % 64 : number(2) &* 0x1_0001_0001
        let stretch = decoder.decode(
            begin: begin, end: end, begun: number(4) == 0 ? nil : number(4) % 32, keepsMode: number(6) & 2 != 0)
        var walk = StretchPlace(stretch)
        var (count, last) = (0, stretch.begin)
        while let instruction = decoder.next(&walk) {
            (count, last) = (count + 1, instruction.address)
            precondition(code.contains(instruction.address) && instruction.address <= stretch.end)
        }
        precondition(count == Int(stretch.count))
        precondition(!stretch.isComplete || last == stretch.end)
        place += 8
    }
}
