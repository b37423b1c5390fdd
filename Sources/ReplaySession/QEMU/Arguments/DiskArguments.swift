// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Checks disks among QEMU's arguments: one that is not attached through `blkreplay` hangs the replay, or the guest.
enum DiskArguments {
    static func check(_ options: [(name: String, value: String)]) throws(RunError) {
        let drives = options.filter { $0.name == "-drive" }.map { ($0.value, OptionValue($0.value)) }
        let recordedImages = drives.compactMap { $0.1["driver"] == "blkreplay" ? $0.1["image"] : nil }
        for (text, drive) in drives where drive["driver"] != "blkreplay" {
            if drive["if"] == "pflash" {
                try checkFlash("-drive \(text)", drive)
            } else if let id = drive["id"], recordedImages.contains(id) {
                try checkImage("-drive \(text)", drive)
            } else {
                throw disk("-drive \(text)", image: drive["file"])
            }
        }
        let machine = options.filter { $0.name == "-machine" || $0.name == "-M" }.map { OptionValue($0.value) }
        let flash = machine.flatMap { [$0["pflash0"], $0["pflash1"]] }.compactMap { $0 }
        for (name, value) in options {
            switch name {
            case "-hda", "-hdb", "-hdc", "-hdd", "-cdrom", "-fda", "-fdb", "-sd", "-mtdblock", "-pflash":
                throw disk("\(name) \(value)", image: value)
            case "-blockdev":
                let node = OptionValue(value)
                // A flash device may take its image from a chain of nodes.
                let isFlash = node["node-name"].map { flash.contains($0) || refers(to: $0, options) } ?? false
                guard isFlash else { throw disk("-blockdev \(value)", image: node["filename"]) }
            case "-virtfs", "-fsdev":
                throw .refused(
                    what: "\(name) \(value)", why: "the guest's reads from the host would not be recorded",
                    remedy: .advice("put the files into a disk image"))
            default: break
            }
        }
    }

    /// Whether a node is the file of another node.
    private static func refers(to node: String, _ options: [(name: String, value: String)]) -> Bool {
        options.contains { $0.name == "-blockdev" && OptionValue($0.value)["file"] == node }
    }

    private static func checkFlash(_ what: String, _ drive: OptionValue) throws(RunError) {
        guard isProtected(drive) else { throw writable(what) }
    }

    private static func checkImage(_ what: String, _ drive: OptionValue) throws(RunError) {
        guard isProtected(drive) else { throw writable(what) }
    }

    /// Whether the image keeps its contents when the guest writes.
    private static func isProtected(_ drive: OptionValue) -> Bool {
        [drive["snapshot"], drive["readonly"], drive["read-only"]].contains { $0 == "on" }
    }

    private static func writable(_ what: String) -> RunError {
        .refused(
            what: what, why: "the guest could write to the file, and the replay would find other contents",
            remedy: .protectFile)
    }

    private static func disk(_ what: String, image: String?) -> RunError {
        .refused(
            what: what, why: "its timing would not be recorded and the replay would hang",
            remedy: .recordedDisk(image: image))
    }
}
