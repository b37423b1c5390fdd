// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

extension PluginConfiguration {
    /// The plugin's file name.
    public static let fileName = "libttd.so"

    /// The file name of the plugin that logs a window of a run.
    static let windowFileName = "libttd-window.so"

    /// The window plugin: the file beside ``find()``.
    static func findWindow() throws(RunError) -> String {
        let path = "\(Files.split(try find()).directory)/\(windowFileName)"
        guard Files.exists(path) else {
            throw .missing(what: "plugin", name: windowFileName, remedy: .buildRecorder(searched: [path]))
        }
        return path
    }

    /// Looks for the plugin in TTD_PLUGIN, next to the executable, in ../lib/tt-analyze, and in the build directory of the
    /// source tree that the executable was built in.
    public static func find() throws(RunError) -> String {
        if let variable = getenv("TTD_PLUGIN"), variable.pointee != 0 {
            let path = String(cString: variable)
            guard Files.exists(path) else {
                throw .missing(what: "plugin", name: path, remedy: .correctVariable("TTD_PLUGIN"))
            }
            return path
        }
        var directory = ExecutableFile.directory
        var candidates = ["\(directory)/\(fileName)", "\(directory)/../lib/tt-analyze/\(fileName)"]
        for _ in 0..<5 {
            candidates.append("\(directory)/hypervisor/qemu/build/\(fileName)")
            guard let slash = directory.lastIndex(of: "/") else { break }
            directory = String(directory[..<slash])
        }
        for candidate in candidates where Files.exists(candidate) { return candidate }
        throw .missing(what: "plugin", name: fileName, remedy: .buildRecorder(searched: candidates))
    }
}
