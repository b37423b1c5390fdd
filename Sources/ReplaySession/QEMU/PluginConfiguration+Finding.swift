// SPDX-License-Identifier: GPL-2.0-or-later

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
        try ToolFile.find(
            fileName, variable: "TTD_PLUGIN", buildDirectory: "hypervisor/qemu/build", what: "plugin")
    }
}
