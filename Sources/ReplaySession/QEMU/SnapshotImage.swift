// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// An empty qcow2 image in which QEMU keeps snapshots of the machine (QEMU, docs/interop/qcow2.txt, version 3).
///
/// It is created here, so that qemu-img is not needed. It has four clusters of 64 KiB: header, reference-count table,
/// reference counts, and a first-level table that is empty. Each recording gets a new one: QEMU would load a snapshot of
/// another recording without a warning.
enum SnapshotImage {
    private static let clusterBits = 16
    private static let cluster = 1 << clusterBits
    /// Bytes of the disk that it describes; snapshots of the machine come after it.
    private static let diskSize = 1 << 20

    static func create(in place: OpenDirectory) throws(RunError) {
        var image = [UInt8](repeating: 0, count: 4 * cluster)
        func put<Word: FixedWidthInteger>(_ word: Word, _ offset: Int) {
            withUnsafeBytes(of: word.bigEndian) { bytes in
                for (index, byte) in bytes.enumerated() { image[offset + index] = byte }
            }
        }
        put(UInt32(0x5146_49fb), 0)  // "QFI" 0xfb
        put(UInt32(3), 4)  // version
        put(UInt32(clusterBits), 20)
        put(UInt64(diskSize), 24)
        put(UInt32(1), 36)  // entries of the first-level table
        put(UInt64(3 * cluster), 40)  // its offset
        put(UInt64(cluster), 48)  // reference-count table
        put(UInt32(1), 56)  // its clusters
        put(UInt32(4), 96)  // reference counts of 2^4 bits
        put(UInt32(104), 100)  // size of this header
        put(UInt64(2 * cluster), cluster)  // offset of the reference counts
        for index in 0..<4 { put(UInt16(1), 2 * cluster + 2 * index) }
        try place.replace(RunFiles.snapshotImageName, with: image)
    }
}
