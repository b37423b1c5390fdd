// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Finds the files that QEMU's arguments name: firmware, option ROMs, ACPI tables, RAM disks, images.
///
/// QEMU reads many of them at its start and closes them again, so they are not among its open files later. Every value
/// in an argument that is the path of a regular file counts; a value that is no file that QEMU reads does no harm here.
enum ArgumentFiles {
    /// Absolute paths in the order of the arguments, each once.
    static func paths(in arguments: [String]) -> [String] {
        var list: [String] = []
        for argument in arguments {
            for value in values(of: argument) where Files.isRegular(value) {
                guard let path = try? Files.absolute(value, what: "file"), !list.contains(path) else { continue }
                list.append(path)
            }
        }
        return list
    }

    /// The argument itself, the values of its parts, and the first words of those (`-initrd "FILE ARGUMENTS"`).
    private static func values(of argument: String) -> [String] {
        var list = [argument]
        for (key, value) in OptionValue(argument).parts {
            list.append(value)
            // The arguments of a module may have an equals sign.
            if let key { list.append(String(key.prefix { $0 != " " })) }
            list.append(String(value.prefix { $0 != " " }))
            list += value.split(separator: ":").map(String.init)
        }
        return list.filter { !$0.isEmpty }
    }

    /// The arguments with paths replaced: files of a recording that are at other paths now.
    static func replacing(_ paths: [String: String], in arguments: [String]) -> [String] {
        guard !paths.isEmpty else { return arguments }
        return arguments.map { argument in
            var result = argument
            for (old, new) in paths where old != new {
                result = result.replacing(QEMUCommandLine.escaped(old), with: QEMUCommandLine.escaped(new))
            }
            return result
        }
    }
}
