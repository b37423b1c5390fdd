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
    /// Bytes of a disk that an entry of the first-level table covers.
    private static let entrySize = cluster * cluster / 8
    /// The name of another image may have 1023 bytes.
    private static let longestName = 1023
    private static let headerSize = 104

    /// An image over which this one is laid: what the guest writes to its disk goes here.
    struct Backing {
        /// Absolute.
        var path: String
        /// `raw` or `qcow2`.
        var format: String
        /// Bytes of the disk.
        var size: UInt64

        /// Looks at an image; nil for a format whose disk's size is not known here, or for a path that does not fit.
        init?(_ path: String, format: String) throws(RunError) {
            let file = try PlainFile(path, what: "disk image")
            switch format {
            case "raw": size = (file.size + 511) & ~511
            case "qcow2":
                let head = try file.head(32)
                guard head.count == 32 else { return nil }
                size = head[24..<32].reduce(0) { $0 << 8 | UInt64($1) }
            default: return nil
            }
            guard path.utf8.count <= longestName, size <= UInt64(cluster / 8 * entrySize) else { return nil }
            (self.path, self.format) = (path, format)
        }
    }

    static func create(in place: OpenDirectory) throws(RunError) {
        try place.replace(RunFiles.snapshotImageName, with: contents(over: nil))
    }

    /// The bytes of a new image.
    static func contents(over backing: Backing?) -> [UInt8] {
        var image = [UInt8](repeating: 0, count: 4 * cluster)
        func put<Word: FixedWidthInteger>(_ word: Word, _ offset: Int) {
            withUnsafeBytes(of: word.bigEndian) { bytes in
                for (index, byte) in bytes.enumerated() { image[offset + index] = byte }
            }
        }
        func put(_ text: String, _ offset: Int) {
            for (index, byte) in text.utf8.enumerated() { image[offset + index] = byte }
        }
        let size = backing.map { Int(clamping: $0.size) } ?? diskSize
        put(UInt32(0x5146_49fb), 0)  // "QFI" 0xfb
        put(UInt32(3), 4)  // version
        put(UInt32(clusterBits), 20)
        put(UInt64(size), 24)
        put(UInt32(max(1, (size + entrySize - 1) / entrySize)), 36)  // entries of the first-level table
        put(UInt64(3 * cluster), 40)  // its offset
        put(UInt64(cluster), 48)  // reference-count table
        put(UInt32(1), 56)  // its clusters
        put(UInt32(4), 96)  // reference counts of 2^4 bits
        put(UInt32(headerSize), 100)
        put(UInt64(2 * cluster), cluster)  // offset of the reference counts
        for index in 0..<4 { put(UInt16(1), 2 * cluster + 2 * index) }
        guard let backing else { return image }
        put(UInt32(0xe279_2aca), headerSize)  // extension: the format of the image below
        put(UInt32(backing.format.utf8.count), headerSize + 4)
        put(backing.format, headerSize + 8)
        let name = headerSize + 8 + 8 + 8  // after the extension's padding and the end of the extensions
        put(UInt64(name), 8)
        put(UInt32(backing.path.utf8.count), 16)
        put(backing.path, name)
        return image
    }
}
