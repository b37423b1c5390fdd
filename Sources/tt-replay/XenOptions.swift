// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ReplaySession

/// The replay of a recording of Xen.
struct XenOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Another configuration of the guest. Needs --force.", valueName: "file"),
        completion: .file())
    var config: String?

    @Option(
        help: ArgumentHelp(
            "A further option of ttd-deviced, such as --fault=1:1:2000; may be repeated.", valueName: "option"))
    var daemonOption: [String] = []

    /// - Parameter until: the clock before whose exit the domain stays paused until Ctrl-C; nil for a replay to the end.
    func options(_ session: SessionOptions, until: UInt64?) -> XenEngine.ReplayOptions {
        var options = XenEngine.ReplayOptions()
        options.trustsManifest = session.engine.trust
        options.configuration = config
        options.daemonOptions = daemonOption
        options.until = until
        return options
    }
}
