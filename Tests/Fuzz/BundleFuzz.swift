// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for the reader of bundles, built by bundle.sh together with the sources of the container.
//
// An input is: a byte of options, then the file. Bit 0 clear: the rest is an archive, which the harness compresses, so that
// the fuzzer changes headers and the manifest and not compressed data. The harness checks that a bundle which is accepted
// has exactly the members of its manifest, with names that stay inside, and right digests.

import CZstd
import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard size >= 1, let data else { return 0 }
    var bytes = Array(UnsafeBufferPointer(start: data + 1, count: size - 1))
    if data[0] & 1 == 0 {
        var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let count = ZSTD_compress(&frame, frame.count, bytes, bytes.count, 1)
        precondition(ZSTD_isError(count) == 0)
        bytes = Array(frame.prefix(count))
    }
    let path = FuzzFile.shared.path
    FuzzFile.shared.write(bytes)
    var limits = BundleLimits()
    limits.smallBytes = 1 << 22
    var receiver = Checker()
    guard let reader = try? BundleReader(path: path, limits: limits) else { return 0 }
    receiver.expected = reader.manifest.members
    guard (try? reader.readAll(into: &receiver)) != nil else { return 0 }
    precondition(receiver.finished == receiver.expected)
    return 0
}

private struct Checker: BundleReader.Receiver {
    var expected: [BundleManifest.Member] = []
    var finished: [BundleManifest.Member] = []
    private var digest = FileDigest()
    private var size: UInt64 = 0

    mutating func begin(_ member: BundleManifest.Member) {
        precondition(!member.name.hasPrefix("/") && !member.name.split(separator: "/").contains(".."))
        (digest, size) = (FileDigest(), 0)
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        digest.update(bytes)
        size += UInt64(bytes.count)
    }

    mutating func end(_ member: BundleManifest.Member) {
        precondition(size == member.size && digest.finish() == member.sha256)
        finished.append(member)
    }
}

/// The file that the reader opens; in memory where /dev/shm can be written.
private final class FuzzFile: Sendable {
    static let shared = FuzzFile()

    let path: String

    private init() {
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        path = "\(directory)/tt-bundle-fuzz-\(getpid())"
        atexit { unlink(FuzzFile.shared.path) }
    }

    func write(_ bytes: [UInt8]) {
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
}
