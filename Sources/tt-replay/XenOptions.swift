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
            "Leave the domain paused before this exit, for tools that look into it, until Ctrl-C.", valueName: "clock"))
    var until: UInt64?

    @Option(
        help: ArgumentHelp(
            "A further option of ttd-deviced, such as --fault=1:1:2000; may be repeated.", valueName: "option"))
    var daemonOption: [String] = []

    func options(_ session: SessionOptions) -> XenEngine.ReplayOptions {
        var options = XenEngine.ReplayOptions()
        options.trustsManifest = session.trust
        options.configuration = config
        options.daemonOptions = daemonOption
        options.until = until
        return options
    }
}
