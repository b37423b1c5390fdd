// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// A virtual disk of a guest, as its configuration describes it (xl-disk-configuration(5)).
///
///     disk = [ "/images/guest.img,raw,xvda,rw", "format=raw,vdev=xvdb,access=ro,target=/dev/vg/data" ]
///
/// The log holds what dom0 brings into the guest's memory, so a replay needs no disk. A recording of a guest that can
/// write to an image gives it a copy, and the image stays as its digest in the manifest says.
struct XenDisk: Equatable {
    /// The image or the block device in dom0.
    var target: String
    /// The guest's name for it: `xvda`.
    var device: String
    /// `rw`, `ro` and their short forms.
    var access: String
    /// All other parameters: `format=raw`.
    var others: [String]

    /// Whether the guest can write to it.
    var isWritable: Bool { !["r", "ro"].contains(access) }
    /// The role of its image in a manifest.
    var role: String { "\(GuestFile.loggedRole) \(device)" }
    /// One string of a configuration.
    var text: String { (others + ["vdev=\(device)", "access=\(access)", "target=\(target)"]).joined(separator: ",") }

    /// Reads one string of a configuration.
    ///
    /// - Parameter path: the configuration's, for errors.
    init(_ text: String, path: String) throws(RunError) {
        var positional = ["target", "format", "vdev", "access"][...]
        var values: [String: String] = [:]
        others = []
        var rest = text[...]
        while !rest.isEmpty {
            rest = rest.drop { $0 == " " }
            if rest.hasPrefix("target=") {
                values["target"] = String(rest.dropFirst(7))
                break
            }
            let part = rest.prefix { $0 != "," }
            rest = rest.dropFirst(part.count + 1)
            if let equals = part.firstIndex(of: "=") {
                positional = []
                let key = String(part[..<equals])
                if ["vdev", "access", "format"].contains(key) {
                    values[key] = String(part[part.index(after: equals)...])
                } else {
                    others.append(String(part))
                }
            } else if let key = positional.popFirst() {
                values[key] = String(part)
            } else {
                others.append(String(part))
            }
        }
        func refuse(_ why: String) -> RunError {
            .refused(
                what: "\(path): disk \"\(text)\"", why: why,
                remedy: .advice("write it as \"format=raw,vdev=xvda,access=rw,target=/path/of/image\""))
        }
        guard let target = values["target"], target.hasPrefix("/") else { throw refuse("it names no absolute path") }
        guard let device = values["vdev"], !device.isEmpty, device.allSatisfy({ $0.isLetter || $0.isNumber }) else {
            throw refuse("it has no vdev, the guest's name for it")
        }
        guard (values["format"] ?? "raw") == "raw" else { throw refuse("only raw disks are recorded") }
        guard !target.contains("\"") else { throw refuse("xl cannot be given a path with quotes") }
        self.target = target
        self.device = device
        access = values["access"] ?? "rw"
        others.insert("format=raw", at: 0)
    }
}

extension XenGuestConfiguration {
    /// The guest's disks.
    func disks() throws(RunError) -> [XenDisk] {
        var list: [XenDisk] = []
        for text in strings("disk") { list.append(try XenDisk(text, path: path)) }
        return list
    }

    /// The strings of a list.
    func strings(_ key: String) -> [String] {
        var list: [String] = []
        var rest = (self[key] ?? "")[...]
        while let quote = rest.firstIndex(where: { $0 == "\"" || $0 == "'" }) {
            let inside = rest[rest.index(after: quote)...]
            let text = inside.prefix { $0 != rest[quote] }
            list.append(String(text))
            rest = inside[text.endIndex...].dropFirst()
        }
        return list
    }
}

// MARK: - Copies for a recording

/// The copies that a recorded guest writes to, in the run's directory. They are removed with the domain.
struct XenDiskCopies {
    /// The disks as the domain gets them.
    private(set) var disks: [XenDisk]
    private var names: [String] = []
    private let place: OpenDirectory

    /// Copies no file yet.
    init(_ disks: [XenDisk], place: OpenDirectory) throws(RunError) {
        self.place = place
        self.disks = disks
        var free = RunFiles.diskCopyNames[...]
        for index in disks.indices where disks[index].isWritable && Files.isRegular(disks[index].target) {
            guard let name = free.popFirst() else {
                throw .refused(
                    what: "disk \(disks[index].device)",
                    why: "at most \(RunFiles.diskCopyNames.count) disks that the guest can write to are recorded",
                    remedy: .leaveOut)
            }
            names.append(name)
            self.disks[index].target = "\(place.path)/\(name)"
        }
    }

    /// The setting for `xl` that replaces the configuration's; nil for a guest without disks.
    var setting: String? {
        disks.isEmpty ? nil : "disk=[" + disks.map { "\"\($0.text)\"" }.joined(separator: ",") + "]"
    }

    /// Copies the images.
    func make(of originals: [XenDisk]) throws(RunError) {
        for (original, copy) in zip(originals, disks) where original.target != copy.target {
            try PlainFile(original.target, what: original.role).copy(
                to: String(copy.target.dropFirst(place.path.utf8.count + 1)), in: place)
        }
    }

    /// Removes the copies that are there.
    func remove() {
        for name in names { try? place.remove(name) }
    }
}
