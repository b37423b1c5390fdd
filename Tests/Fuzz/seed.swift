// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the seeds of the corpus: small logs of each kind, in the form that LogReaderFuzz.swift reads.

import Glibc

@main
struct Seeds {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else { return }
        let corpus = CommandLine.arguments[1]
        var sample = SampleLog(branches: 40)
        for isCompressed in [false, true] {
            sample.isCompressed = isCompressed
            for mode in [FileHeader.Mode.branches, .digest, .events] {
                sample.options.mode = mode
                sample.isAbandoned = false
                try write(sample, "\(corpus)/log-\(mode)-\(isCompressed)")
                sample.isAbandoned = true
                try write(sample, "\(corpus)/abandoned-\(mode)-\(isCompressed)")
            }
        }
        // The column of origins is so long that it has a zstd frame of its own.
        sample = SampleLog(isCompressed: true, branchCellShift: 16, branches: 3500)
        try write(sample, "\(corpus)/frames")
    }

    private static func write(_ sample: SampleLog, _ seed: String) throws {
        let path = seed + ".log"
        try sample.write(to: path)
        let log = bytes(of: path)
        let open = compact(bytes(of: path + ".open"))
        for suffix in ["", ".open"] { unlink(path + suffix) }
        let length = withUnsafeBytes(of: UInt32(log.count).littleEndian) { Array($0) }
        guard let file = fopen(seed, "w") else { return }
        fwrite(length + log + open, 1, 4 + log.count + open.count, file)
        fclose(file)
    }

    /// An open file whose slots have room for a few more units than are in use: the writer's are megabytes of zeros.
    private static func compact(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        let open = LogImage(bytes: bytes)
        let slots = Int(open.word(at: 24, UInt32.self))
        var result = LogImage(bytes: Array(bytes.prefix(4096 + slots * 64)))
        for slot in 0..<slots {
            let descriptor = 4096 + slot * 64
            let offset = Int(open.word(at: descriptor, UInt64.self))
            let capacity = Int(open.word(at: offset, UInt32.self)) + 4
            let size = 128 + capacity * Int(open.word(at: descriptor + 12, UInt32.self))
            result.set(UInt64(result.bytes.count), at: descriptor)
            result.set(UInt32(capacity), at: descriptor + 8)
            result.bytes += bytes[offset..<(offset + size)]
        }
        result.repairOpenFile()
        return result.bytes
    }

    private static func bytes(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var status = stat()
        fstat(fileno(file), &status)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
}
