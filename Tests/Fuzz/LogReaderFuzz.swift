// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for the reader, built by run.sh together with the sources of LogFormat and CTTLog.
//
// An input is: 4 bytes with the length of the log (little-endian), the log, an open file. The harness corrects checksums,
// hashes, nonces and own offsets before reading; otherwise the fuzzer would not get past them. If the top bit of the
// length is set, they are left unchanged.
//
// On no input may the reader trap, hang, or use memory out of proportion (run.sh sets the limits).

import CTTLog
import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    let input = UnsafeRawBufferPointer(start: data, count: size)
    guard size >= 4 else { return 0 }
    let word = input.loadUnaligned(as: UInt32.self)
    let length = min(Int(word & 0x7fff_ffff), size - 4)
    var log = LogImage(bytes: Array(input[4..<(4 + length)]))
    var open = LogImage(bytes: Array(input[(4 + length)...]))
    if word >> 31 == 0 {
        log.set(TTLOG_FILE_MAGIC, at: 0)
        log.set(TTLOG_VERSION, at: 8)
        log.set(TTLOG_FILE_HEADER_SIZE, at: 16)
        for place in stride(from: LogImage.headerSize, to: log.bytes.count, by: 64)
        where log.word(at: place, UInt32.self) == TTLOG_CHUNK_MAGIC {
            log.set(UInt64(place), at: place + 16)
        }
        log.repair()
        open.set(TTLOG_OPEN_MAGIC, at: 0)
        open.set(TTLOG_VERSION, at: 8)
        open.set(log.nonce, at: 16)
        open.repairOpenFile()
    }
    FuzzFiles.shared.write(log.bytes, open.bytes)
    guard let file = try? LogFile(path: FuzzFiles.shared.path) else { return 0 }
    readEverything(file)
    return 0
}

private func readEverything(_ log: LogFile) {
    var sum = 0
    for damage in log.structuralDamage + log.verify().damage { sum &+= damage.description.utf8.count }
    for vcpu in log.vcpus {
        var branches = log.branches(vcpu: vcpu, from: 3)
        while let branch = branches.next() { sum &+= branch.label.isDiscontinuity ? 1 : 0 }
        var batch = BranchBatch()
        for chunk in log.chunks(.branch, vcpu: vcpu) {
            // Columns alone: the other frames of a body are skipped.
            for columns in [.path, .to, .label, .icount] as [BranchBatch.Columns] {
                if (try? log.decode(chunk, into: &batch, columns: columns)) != nil { sum &+= batch.count }
            }
        }
        var events = log.events([.event, .access], vcpu: vcpu)
        while let event = events.next() { sum &+= event.values.count &+ event.kind.name.utf8.count }
        sum &+= branches.skipped.count &+ events.skipped.count
    }
    sum &+= log.attributes.count &+ (log.runEnd?.text.utf8.count ?? 0)
    sum &+= log.comparableEnd(vcpu: 0)?.reason.utf8.count ?? 0
    FuzzFiles.shared.sum = sum
    // A writer preallocates megabytes for each vCPU, which takes much longer than everything else.
    FuzzFiles.shared.inputs &+= 1
    if FuzzFiles.shared.inputs % 64 == 0, log.header.vcpuCount <= 2 {
        _ = try? slice(log, to: FuzzFiles.shared.path + ".slice", from: 16, to: 64)
    }
}

/// The two files that the reader opens; in memory where /dev/shm can be written.
private final class FuzzFiles: @unchecked Sendable {
    static let shared = FuzzFiles()

    let path: String
    /// A sum over everything that was read, so that reading is not optimised away.
    var sum = 0
    var inputs = 0

    private init() {
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        path = "\(directory)/tt-fuzz-\(getpid()).log"
        atexit { FuzzFiles.shared.remove() }
    }

    func write(_ log: [UInt8], _ open: [UInt8]) {
        write(log, to: path)
        if open.isEmpty { unlink(path + ".open") } else { write(open, to: path + ".open") }
    }

    private func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    private func remove() {
        for suffix in ["", ".open", ".slice", ".slice.open"] { unlink(path + suffix) }
    }
}
