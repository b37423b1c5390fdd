// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The firmware that a QEMU has loaded for its machine: BIOS, option ROMs, boot code.
///
/// QEMU reads these files from its data directories at its start and closes them again. The guest executes them, so a
/// package upgrade between recording and replay makes another run.
enum QEMUFirmware {
    /// The names in the answers of the monitor to `info roms` and `info qtree`, each once.
    static func names(roms: String, devices: String) -> [String] {
        var list: [String] = []
        func add(_ line: Substring, after mark: String) {
            guard let start = line.firstRange(of: mark)?.upperBound else { return }
            let name = String(line[start...].prefix { $0 != "\"" })
            // A path is a file that an argument names; `etc/…` is made by QEMU itself.
            if !name.isEmpty, !name.contains("/"), !list.contains(name) { list.append(name) }
        }
        for line in roms.split(whereSeparator: \.isNewline) { add(line, after: "name=\"") }
        for line in devices.split(whereSeparator: \.isNewline) { add(line, after: "romfile = \"") }
        return list
    }

    /// The files of these names in the first data directory that has each.
    static func files(_ names: [String], in directories: [String]) -> [OpenFile] {
        names.compactMap { name in
            let candidates = directories.map { "\($0)/\(name)" }
            guard let path = candidates.first(where: Files.isRegular),
                let absolute = try? Files.absolute(path, what: "firmware")
            else { return nil }
            return OpenFile(path: absolute, isWritable: false, role: "\(GuestFile.firmwareRole) \(name)")
        }
    }
}

extension QEMUProgram {
    /// The directories in which this QEMU looks for firmware, in its order.
    func dataDirectories(_ arguments: [String]) throws(RunError) -> [String] {
        let own = ExtraArguments.options(arguments).filter { $0.name == "-L" }.map(\.value)
        let output = try QEMUProgram.output(of: path, ["-L", "help"])
        return own + output.split(whereSeparator: \.isNewline).map(String.init)
    }
}
