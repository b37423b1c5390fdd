// SPDX-License-Identifier: GPL-2.0-or-later

/// An empty qcow2 image, for QEMU to keep snapshots of the machine in (QEMU, docs/interop/qcow2.txt, version 3).
///
/// Made here so that nothing beside QEMU itself is needed. Four clusters of 64 KiB: header, reference-count table,
/// reference counts, and a first-level table whose entry says that nothing is there. A fresh one for each recording:
/// QEMU would take a snapshot of another recording without a word.
enum SnapshotImage {
    private static let clusterBits = 16
    private static let cluster = 1 << clusterBits
    /// Of the disk that it pretends to be; snapshots of the machine stand behind it.
    private static let diskSize = 1 << 20

    static func create(_ path: String) throws(SessionError) {
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
        put(UInt64(3 * cluster), 40)  // where it stands
        put(UInt64(cluster), 48)  // reference-count table
        put(UInt32(1), 56)  // its clusters
        put(UInt32(4), 96)  // reference counts of 2^4 bits
        put(UInt32(104), 100)  // size of this header
        put(UInt64(2 * cluster), cluster)  // where the reference counts stand
        for index in 0..<4 { put(UInt16(1), 2 * cluster + 2 * index) }
        try Files.replace(path, with: image)
    }
}
