// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for the reader of raw BTS files, built by rawbts.sh together with the sources of LogFormat.
//
// An input is: a byte of options, then the file. Bit 0: the file begins with a record of ones. Bit 1: addresses are made
// plausible, since the reader refuses random ones. The harness checks that the reader returns every record of the file,
// and that reading a range returns the records that the whole file has in this range.

import CTTLog
import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard size >= 1, let data else { return 0 }
    let options = data[0]
    var bytes = Array(UnsafeBufferPointer(start: data + 1, count: size - 1))
    if options & 2 != 0 {
        for index in bytes.indices where index % 8 == 7 && index % 24 < 16 {
            bytes[index] = bytes[index] & 1 == 0 ? 0 : 0xff
        }
        for index in bytes.indices where index % 24 >= 20 { bytes[index] = 0 }
    }
    if options & 1 != 0 { bytes = [UInt8](repeating: 0xff, count: 24) + bytes }
    let path = FuzzFile.shared.path
    bytes.withUnsafeBytes { FuzzFile.shared.write($0) }
    guard let raw = try? RawBTSFile(path: path) else { return 0 }
    let all = read(raw, from: 0, to: .max)
    precondition(UInt64(all.count) == raw.count)
    precondition((raw.damage == nil) == (bytes.count % 24 == 0))
    let first = raw.form == .extended ? 24 : 0
    for (index, branch) in all.enumerated() {
        precondition(branch.from == word(bytes, first + index * 24) && branch.to == word(bytes, first + index * 24 + 8))
    }
    let bounds = [word(bytes, bytes.count - 8), word(bytes, bytes.count - 16)].map { $0 >> UInt64(options >> 2) }
    let (from, to) = (min(bounds[0], bounds[1]), max(bounds[0], bounds[1]))
    precondition(read(raw, from: from, to: to) == all.filter { $0.clock >= from && ($0.clock < to || to == .max) })
    return 0
}

private func read(_ raw: RawBTSFile, from: UInt64, to: UInt64) -> [Branch] {
    var result: [Branch] = []
    var branches = raw.branches(from: from, to: to)
    while branches.nextBatch({ batch, range in for index in range { result.append(batch[index]) } }) {}
    return result
}

private func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    guard offset >= 0, offset + 8 <= bytes.count else { return 0 }
    return (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
}
