// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The beginning of a disk image: its format, by QEMU's name, and the files that QEMU opens with it.
struct DiskImage {
    let format: String
    /// Backing file, external data file, extents: as the image names them.
    let references: [String]

    /// Reads the first 64 KiB (QEMU's docs/interop/qcow2.txt; VMware's Virtual Disk Format 1.1).
    init(_ path: String, what: String) throws(RunError) {
        let head = try PlainFile(path, what: what).head(1 << 16)
        func starts(_ text: String, at offset: Int = 0) -> Bool {
            head.dropFirst(offset).starts(with: Array(text.utf8))
        }
        if head.starts(with: [0x51, 0x46, 0x49, 0xfb]) {
            format = "qcow2"
            references = DiskImage.qcow2References(head)
        } else if starts("# Disk DescriptorFile") {
            format = "vmdk"
            references = DiskImage.vmdkReferences(head[...])
        } else if starts("KDMV") || starts("COWD") {
            format = "vmdk"
            references = DiskImage.vmdkReferences(head.dropFirst(512))
        } else if head.dropFirst(0x40).starts(with: [0x7f, 0x10, 0xda, 0xbe]) {
            format = "vdi"
            references = []
        } else if starts("vhdxfile") {
            format = "vhdx"
            references = []
        } else if starts("conectix") {
            format = "vpc"
            references = []
        } else {
            format = "raw"
            references = []
        }
    }

    /// The backing file's name, and the external data file's in its header extension.
    private static func qcow2References(_ head: [UInt8]) -> [String] {
        func number(_ offset: Int, _ size: Int) -> Int {
            guard offset >= 0, offset + size <= head.count else { return 0 }
            return head[offset..<offset + size].reduce(0) { $0 << 8 & (1 << 55 - 1) | Int($1) }
        }
        func text(_ offset: Int, _ size: Int) -> String? {
            guard size > 0, size <= 4096, offset > 0, offset + size <= head.count else { return nil }
            return String(decoding: head[offset..<offset + size], as: UTF8.self)
        }
        var list: [String] = []
        if let backing = text(number(8, 8), number(16, 4)) { list.append(backing) }
        guard number(4, 4) >= 3 else { return list }
        var offset = number(100, 4)
        while offset >= 104, offset + 8 <= head.count, number(offset, 4) != 0 {
            let size = number(offset + 4, 4)
            if number(offset, 4) == 0x4441_5441, let data = text(offset + 8, size) { list.append(data) }
            offset += 8 + (size + 7) & ~7
        }
        return list
    }

    /// The extents and the parent in a descriptor.
    private static func vmdkReferences(_ bytes: ArraySlice<UInt8>) -> [String] {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let start = text.firstRange(of: "# Disk DescriptorFile") else { return [] }
        var list: [String] = []
        for line in text[start.lowerBound...].prefix(1 << 16).split(whereSeparator: \.isNewline) {
            let isExtent = ["RW ", "RDONLY ", "NOACCESS "].contains { line.hasPrefix($0) }
            guard isExtent || line.hasPrefix("parentFileNameHint") else { continue }
            let quoted = line.split(separator: "\"", omittingEmptySubsequences: false)
            if quoted.count >= 3 { list.append(String(quoted[1])) }
        }
        return list
    }
}

extension DiskImage {
    /// The files that QEMU opens for an image, itself first.
    ///
    /// - Throws: ``RunError/refused(what:why:remedy:)`` for an image that refers to anything but a file.
    static func chain(_ path: String, role: String) throws(RunError) -> [(role: String, path: String)] {
        var list = [(role: role, path: path)]
        var index = 0
        while index < list.count {
            let current = list[index].path
            index += 1
            for reference in try DiskImage(current, what: role).references {
                guard let file = resolved(reference, beside: current) else {
                    throw .refused(
                        what: "\(role) \(path)", why: "it refers to \(reference), which is no plain file",
                        remedy: .recordedDisk(image: nil))
                }
                let absolute = try Files.absolute(file, what: "file of \(role)")
                guard !list.contains(where: { $0.path == absolute }) else { continue }
                guard list.count < 64 else {
                    throw .refused(what: "\(role) \(path)", why: "it refers to over 64 files", remedy: .leaveOut)
                }
                list.append((role: "\(role), file \(list.count)", path: absolute))
            }
        }
        return list
    }

    /// nil for a URL, a JSON description, or a name of another protocol.
    private static func resolved(_ reference: String, beside image: String) -> String? {
        if reference.hasPrefix("/") { return reference }
        var name = Substring(reference)
        if name.hasPrefix("file:") { name = name.dropFirst(5) }
        let hasProtocol = name.firstIndex(of: ":").map { colon in
            name.firstIndex(of: "/").map { colon < $0 } ?? true
        }
        guard hasProtocol != true, !name.isEmpty else { return nil }
        return name.hasPrefix("/") ? String(name) : "\(Files.split(image).directory)/\(name)"
    }
}
