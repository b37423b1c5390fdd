// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory

/// tt-replay in the background: it replays a run and keeps checkpoints while the user looks around. It ends with this object,
/// and with the thread that started it.
final class AheadProcess: ReplayAhead {
    private let program: String
    private let arguments: [String]
    private var process: HelperProcess?

    /// - Returns: nil if tt-replay is not beside this program, or if the session keeps no checkpoints.
    init?(_ directory: String, _ options: ReplaySide.Options) {
        let path = realpath("/proc/self/exe", nil)
        defer { free(path) }
        let own = path.map { String(cString: $0) } ?? ""
        program = "\(Files.split(own).directory)/tt-replay"
        guard options.checkpointSpace > 0, Files.isExecutable(program) else { return nil }
        var words = ["--ahead", "--checkpoint-space", String(options.checkpointSpace >> 20)]
        if let engine = options.program { words += ["--qemu", engine] }
        if options.trustsManifest { words.append("--trust") }
        arguments = [directory.hasPrefix("-") ? "./\(directory)" : directory] + words
    }

    deinit { end() }

    func start() {
        if process?.hasEnded == false { return }
        process = try? HelperProcess(silent: program, arguments)
    }

    func end() {
        process?.end(within: AheadProcess.patience)
        process = nil
    }

    /// Seconds in which it may finish the checkpoint that it keeps.
    private static let patience = 3.0
}
