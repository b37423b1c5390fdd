// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension XenEngine {
    /// The changes that a caller may request in a replay.
    public struct ReplayOptions: Sendable {
        /// Whether the recording is the user's own: its configuration may then have any setting.
        public var trustsManifest = false
        /// Another configuration of the guest.
        public var configuration: String?
        /// The clock before which the domain stays paused until the run is ended; nil for a replay to the end.
        public var until: UInt64?
        /// Further options of the daemon.
        public var daemonOptions: [String] = []

        /// A replay like the recording.
        public init() {}
    }

    /// The engine for a replay of a recording. The configuration's kernel and RAM disk are replaced by the files with the
    /// recorded contents.
    public static func replaying(
        _ recording: Manifest, located: [String: String], options: ReplayOptions, warnings: inout [String]
    ) throws(RunError) -> XenEngine {
        func present(_ role: String) -> String? {
            recording.files.first { $0.role == role }.flatMap { located[$0.identity.path] }
        }
        guard let path = options.configuration ?? present(configurationRole) else {
            throw .manifest(path: Manifest.fileName, problem: "it names no configuration of the guest")
        }
        let configuration = try XenGuestConfiguration(path: path)
        try configuration.check()
        if !options.trustsManifest, options.configuration == nil { try configuration.checkForStrangers() }
        var engine = XenEngine(tools: try .find(), configuration: configuration)
        engine.daemonOptions = options.daemonOptions
        engine.until = options.until
        // The log holds what the guest read and received. A stranger's devices are not attached either.
        engine.overrides += ["disk=[]", "vif=[]"]
        for (key, role) in [("kernel", GuestFile.kernelRole), ("ramdisk", ramdiskRole)] {
            guard let file = present(role), file != configuration[key] else { continue }
            guard !file.contains("\"") else {
                throw .refused(
                    what: file, why: "xl cannot be given a path with quotes", remedy: .advice("rename the file"))
            }
            engine.overrides.append("\(key)=\"\(file)\"")
        }
        return engine
    }

    /// The files that the options replace.
    public static func replacedRoles(_ options: ReplayOptions, in recording: Manifest) -> Set<String> {
        options.configuration == nil ? [] : [configurationRole]
    }

    /// Files are compared by the caller; the interface must be the same.
    public func differences(from recording: Manifest) throws(RunError) -> [ManifestDifference] {
        var list: [ManifestDifference] = []
        list.compare("version of Xen's recorder", recording.engine.version, version)
        return list
    }
}
