// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Finds the files that QEMU's arguments name as outputs: QEMU writes them and never reads them, so they decide nothing
/// in the guest.
enum OutputArguments {
    /// The paths as the arguments have them. In the path of `-D`, `%d` stands for a number.
    static func paths(in arguments: [String]) -> [String] {
        ExtraArguments.options(arguments).flatMap { paths(of: $0.name, $0.value) }
    }

    private static func paths(of option: String, _ value: String) -> [String] {
        switch option {
        case "-D", "-pidfile":
            return [value]
        case "-trace":
            return [OptionValue(value)["file"]].compactMap { $0 }
        case "-serial", "-parallel", "-monitor", "-qmp", "-qmp-pretty", "-debugcon":
            return value.hasPrefix("file:") ? [String(value.dropFirst(5))] : []
        case "-chardev":
            let backend = OptionValue(value)
            let path = (backend.first ?? backend["backend"]) == "file" ? backend["path"] : nil
            return [path, backend["logfile"]].compactMap { $0 }
        case "-object":
            let object = OptionValue(value)
            return (object.first ?? object["qom-type"]) == "filter-dump" ? [object["file"]].compactMap { $0 } : []
        default:
            return []
        }
    }

    /// Whether QEMU's open file is one of the outputs.
    ///
    /// - Parameter path: with all links resolved.
    static func contain(_ path: String, _ outputs: [String]) -> Bool {
        outputs.contains { output in
            let resolved = resolved(output)
            guard let number = resolved.firstRange(of: "%d") else { return resolved == path }
            let (before, after) = (resolved[..<number.lowerBound], resolved[number.upperBound...])
            guard path.hasPrefix(before), path.hasSuffix(after), path.utf8.count > before.utf8.count + after.utf8.count
            else { return false }
            return path.dropFirst(before.count).dropLast(after.count).allSatisfy(\.isNumber)
        }
    }

    /// The path with all links resolved; a file that does not exist yet has those of its directory resolved.
    private static func resolved(_ path: String) -> String {
        if let whole = try? Files.absolute(path, what: "output") { return whole }
        let (directory, name) = Files.split(path)
        guard let place = try? Files.absolute(directory, what: "directory") else { return path }
        return place == "/" ? "/\(name)" : "\(place)/\(name)"
    }

    /// Refuses an output that is a file which the run reads or writes itself: QEMU would truncate it.
    ///
    /// - Parameters:
    ///   - inputs: paths of files that the run reads.
    ///   - runs: the files of the run, and of the recording that it replays.
    static func check(_ outputs: [String], inputs: [String], runs: [RunFiles]) throws(RunError) {
        let own = runs.flatMap { run in (RunFiles.allNames + [RunFiles.lockName]).map { "\(run.directory)/\($0)" } }
        for output in outputs {
            let path = resolved(output)
            guard own.contains(path) || (own + inputs).contains(where: { isSame($0, path) }) else { continue }
            throw .refused(
                what: "output \(output)", why: "it is a file of the run, and QEMU would overwrite it",
                remedy: .advice("name another file for it"))
        }
    }

    private static func isSame(_ one: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
            && first.st_ino == second.st_ino
    }
}
